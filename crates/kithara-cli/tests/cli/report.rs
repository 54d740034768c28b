use kithara_testkit::{Origin, media};
use serde_json::Value;

use crate::tool::{decode, fixture, path_of};

type Is = fn(&Value) -> bool;

/// Every name of the report, with the type that its value has.
const FIELDS: [(&str, Is); 19] = [
    ("kind", Value::is_string),
    ("container", Value::is_string),
    ("codec", Value::is_string),
    ("sample_rate", Value::is_u64),
    ("channels", Value::is_u64),
    // Null where no header tells: an Ogg file read from its start, ADTS.
    ("duration_s", |value| value.is_f64() || value.is_null()),
    ("frames", Value::is_u64),
    ("first_pcm_s", Value::is_f64),
    ("wall_s", Value::is_f64),
    ("cpu_s", Value::is_f64),
    ("peak_rss_bytes", Value::is_u64),
    ("requests", Value::is_u64),
    ("bytes_downloaded", Value::is_u64),
    ("cache_hits", Value::is_u64),
    ("variants", Value::is_array),
    ("switches", Value::is_array),
    ("layout", Value::is_string),
    ("stalls", Value::is_u64),
    ("stall_s", Value::is_f64),
];

fn check_fields(report: &Value) {
    let object = report.as_object().unwrap();
    for (name, is_right) in FIELDS {
        let value = object.get(name).unwrap_or_else(|| panic!("`{name}` is missing"));
        assert!(is_right(value), "{name}: {value}");
    }
    assert_eq!(object.len(), FIELDS.len(), "a name that is not documented: {report}");
    let seconds = |name: &str| report[name].as_f64().unwrap();
    assert!(0.0 < seconds("first_pcm_s") && seconds("first_pcm_s") <= seconds("wall_s"), "{report}");
    assert!(seconds("cpu_s") > 0.0 && report["peak_rss_bytes"].as_u64().unwrap() > 1 << 20, "{report}");
}

#[test]
fn the_demo_reports_everything() {
    let report = decode("demo").report();
    check_fields(&report);
    assert_eq!((&report["kind"], &report["container"]), (&"hls".into(), &"fmp4".into()));
    assert_eq!((&report["sample_rate"], &report["channels"]), (&44_100.into(), &2.into()));
    // Which variant plays at the end decides: all hold the same sound, padded to their codec's frame.
    let frames = report["frames"].as_u64().unwrap();
    assert!([fixture("aac4/64k").frames, fixture("aac4/flac").frames].contains(&frames), "{frames}");
    assert!((report["duration_s"].as_f64().unwrap() - 33.137).abs() < 0.05, "{report}");
    // Master, at least one media playlist, its init section, nine segments.
    assert!(report["requests"].as_u64().unwrap() >= 12, "{report}");
    assert!(report["bytes_downloaded"].as_u64().unwrap() > 200_000, "{report}");
    assert_eq!(report["stalls"], 0);

    let variants = report["variants"].as_array().unwrap();
    assert_eq!(variants.len(), 4);
    for (index, variant) in variants.iter().enumerate() {
        assert_eq!(variant["index"], index);
        assert!(variant["bandwidth"].is_u64() && variant["codecs"].is_string(), "{variant}");
        assert_eq!(variant.as_object().unwrap().len(), 3);
    }
    assert!(variants.is_sorted_by_key(|variant| variant["bandwidth"].as_u64()));
    for switch in report["switches"].as_array().unwrap() {
        assert!(switch["at_s"].is_f64() && switch["from"].is_u64() && switch["to"].is_u64(), "{switch}");
        assert!(switch["reason"].is_string() && switch["from"] != switch["to"]);
        assert_eq!(switch.as_object().unwrap().len(), 4);
    }
}

#[test]
fn each_variant_by_its_index() {
    let names = ["aac4/64k", "aac4/128k", "aac4/256k", "aac4/flac"];
    for (index, name) in names.into_iter().enumerate() {
        let report = decode("demo").with(&format!("--variant {index}")).report();
        check_fields(&report);
        assert_eq!(report["frames"], fixture(name).frames, "{name}");
        assert_eq!(report["codec"], fixture(name).codec);
        assert_eq!(report["switches"], Value::Array(Vec::new()), "a chosen variant is never left");
    }
}

#[test]
fn every_fixture_has_the_frames_of_its_reference() {
    let origin = Origin::start_blocking().unwrap();
    for fixture in
        media::all().iter().filter(|fixture| fixture.master.is_none() && fixture.feature().is_none())
    {
        let report = decode(origin.url(&path_of(fixture.name))).report();
        check_fields(&report);
        assert_eq!(report["frames"], fixture.frames, "{}", fixture.name);
        assert_eq!(report["sample_rate"], fixture.sample_rate, "{}", fixture.name);
        assert_eq!(report["channels"], fixture.channels, "{}", fixture.name);
        // Packed MPEG audio is what a file of it is.
        let container = if fixture.container == "mpa" { "mp3" } else { fixture.container };
        assert_eq!(report["container"], container, "{}", fixture.name);
        // PCM is PCM, whatever its samples are.
        let codec = report["codec"].as_str().unwrap();
        assert!(fixture.codec.split('+').any(|known| known.starts_with(codec)), "{}: {report}", fixture.name);
        let is_file = fixture.kind == media::Kind::File;
        assert_eq!(report["kind"], if is_file { "file" } else { "hls" });
        let tells = !["adts.aac", "vorbis.ogg"].contains(&fixture.name);
        assert!(report["duration_s"].is_f64() || !tells, "{}: {report}", fixture.name);
        if is_file {
            assert_eq!(report["variants"], Value::Array(Vec::new()));
            assert_eq!(report["bytes_downloaded"], fixture.bytes().len(), "{}", fixture.name);
        }
    }
}

#[test]
fn the_consumer_of_a_player_is_never_kept_waiting() {
    let report = decode("demo").with("--realtime=20").report();
    assert_eq!((&report["stalls"], report["stall_s"].as_f64()), (&0.into(), Some(0.0)), "{report}");
    // 33 s at twenty times that speed, less what a player holds in its buffer.
    assert!(report["wall_s"].as_f64().unwrap() > 1.4, "{report}");
}

#[test]
fn waiting_for_pcm_is_counted() {
    let origin = Origin::start_blocking().unwrap();
    // 64 kbit/s come as fast as they last, and are played at eight times their speed.
    origin.set_bandwidth(Some(8_000));
    let report = decode(origin.url(&path_of("ts-mp3"))).with("--realtime=8 --duration 3").report();
    assert!(report["stalls"].as_u64().unwrap() > 0 && report["stall_s"].as_f64().unwrap() > 0.0, "{report}");
}
