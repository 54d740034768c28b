//! Prints the table of docs/abr.md: the policies over the synthetic sets.
//!
//! `cargo run --release -p kithara-hls --example abr_table`

use kithara_hls::abr::AbrPolicyKind;
use kithara_hls::abr::model::{Mean, SETS, TraceSet, mean};

/// Traces of each set.
const TRACES: u64 = 80;

fn main() {
    println!("| set | throughput | bola | bola-e | hybrid |");
    println!("|---|---|---|---|---|");
    for set in SETS {
        row(set.name, set, 37);
    }
    for set in &SETS[..4] {
        row(&format!("{}, 30 s", set.name), set, 5);
    }
}

fn row(name: &str, set: &TraceSet, segments: usize) {
    print!("| {name} |");
    for policy in ["throughput", "bola", "bola-e", "hybrid"] {
        let Some(policy) = AbrPolicyKind::by_name(policy) else { continue };
        let Mean { rebuffer_ratio, avg_kbps, change_kbps, score, .. } = mean(set, &policy, segments, TRACES);
        print!(" {:.2} / {avg_kbps:.0} / {change_kbps:.0} / {score:.3} |", rebuffer_ratio * 100.0);
    }
    println!();
}
