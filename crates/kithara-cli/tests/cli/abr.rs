use std::fs;
use std::process::Command;

use serde_json::Value;

fn abr(args: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kithara"));
    command.arg("abr").args(args.split(' '));
    command
}

fn figures(args: &str) -> Value {
    let output = abr(&format!("{args} --json")).output().unwrap();
    assert!(output.status.success(), "{args}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn figures_have_their_names_and_policies_differ() {
    let of = |policy: &str| figures(&format!("--trace synthetic:cell-3g:1 --policy {policy}"));
    let names = [
        "rebuffer_ratio",
        "rebuffer_events",
        "startup_s",
        "avg_kbps",
        "change_kbps_per_segment",
        "switches",
        "score",
    ];
    let rates: Vec<f64> = ["throughput", "bola", "bola-e", "hybrid"]
        .map(|policy| {
            let figures = of(policy);
            assert!(names.iter().all(|name| figures[name].is_number()), "{policy}: {figures}");
            figures["avg_kbps"].as_f64().unwrap()
        })
        .to_vec();
    assert!(rates.windows(2).all(|pair| pair[0] != pair[1]), "{rates:?}");
    assert_eq!(of("bola"), of("bola"), "the same session gives the same figures");
}

#[test]
fn trace_and_size_files_are_read_and_the_multiplier_counts() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace.json");
    let sizes = folder.path().join("sizes.json");
    fs::write(&trace, r#"[{"duration_ms": 1000, "bandwidth_kbps": 100, "latency_ms": 0}]"#).unwrap();
    let rows = ["[400000, 4000000]"; 4].join(",");
    let table = format!(
        r#"{{"segment_duration_ms": 4000, "bitrates_kbps": [100, 1000], "segment_sizes_bits": [{rows}]}}"#
    );
    fs::write(&sizes, table).unwrap();
    let args = format!("--trace {} --sizes {}", trace.display(), sizes.display());
    // 400 kbit at 100 kbit/s are 4 s.
    let slow = figures(&args);
    assert_eq!((slow["startup_s"].as_f64(), slow["switches"].as_u64()), (Some(4.0), Some(0)));
    let fast = figures(&format!("{args} --multiplier 400 --segments 8"));
    assert_eq!((fast["startup_s"].as_f64(), fast["rebuffer_events"].as_u64()), (Some(0.01), Some(0)));
    assert!(fast["avg_kbps"].as_f64() > Some(800.0), "{fast}");
}

#[test]
fn plot_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let plot = folder.path().join("session.svg");
    let args = format!("--trace synthetic:outages --plot {}", plot.display());
    let output = abr(&args).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("time without audio"));
    let svg = fs::read_to_string(plot).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("hybrid over synthetic:outages"));
}

#[test]
fn what_cannot_be_simulated_is_an_error_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let bad = folder.path().join("bad.json");
    for (text, hint) in [
        ("[]", "less than 1 bit per second"),
        ("{}", "cannot read the trace"),
        (r#"[{"duration_ms": 1, "bandwidth_kbps": -1, "latency_ms": 0}]"#, "negative"),
        (r#"[{"duration_ms": 1e400, "bandwidth_kbps": 1, "latency_ms": 0}]"#, "cannot read the trace"),
    ] {
        fs::write(&bad, text).unwrap();
        let output = abr(&format!("--trace {}", bad.display())).output().unwrap();
        let line = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{text}: {line}");
        assert!(line.starts_with("error: ") && line.contains(hint) && line.lines().count() == 1, "{line}");
    }
    for args in ["--trace synthetic:nonesuch", "--trace synthetic:walk --ladder 2,1", "--trace nowhere.json"]
    {
        assert_eq!(abr(args).output().unwrap().status.code(), Some(1), "{args}");
    }
    assert_eq!(abr("--trace synthetic:walk --policy best").output().unwrap().status.code(), Some(2));
}

#[test]
fn decode_draws_its_run() {
    let folder = tempfile::tempdir().unwrap();
    let plot = folder.path().join("run.svg");
    let mut command = Command::new(env!("CARGO_BIN_EXE_kithara"));
    command.args(["decode", "demo", "--realtime=50", "--policy", "bola-e", "--plot"]).arg(&plot);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let svg = fs::read_to_string(plot).unwrap();
    assert!(svg.contains("bola-e in playback"), "{svg}");
}
