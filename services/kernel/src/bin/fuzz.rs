//! A mutation fuzzer for stable Rust.
//!
//!     cargo run --profile fuzz --features harness --bin fuzz -- [--seconds N] [--seed N]
//!
//! Prints its seed; a failure also prints signal, iteration and payload in hex.

use headrace_kernel::harness::{check, mutate, sample, Rng, SIGNALS};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

fn main() -> ExitCode {
    let Some((seconds, seed)) = options() else {
        eprintln!("usage: fuzz [--seconds N] [--seed N]");
        return ExitCode::from(2);
    };
    println!("fuzz: seed {seed}, {seconds} s");
    let mut rng = Rng(seed);
    let end = Instant::now() + Duration::from_secs(seconds);
    let (mut tried, mut accepted) = (0u64, 0u64);
    while Instant::now() < end {
        let signal = SIGNALS[rng.below(SIGNALS.len())];
        let records = 1 + rng.below(2);
        let payload = mutate(&mut rng, &sample::request(signal, records));
        let old = rng.below(2) == 0;
        match catch_unwind(AssertUnwindSafe(|| check(signal, old, &payload))) {
            Ok(taken) => accepted += u64::from(taken),
            Err(_) => {
                let hex: String = payload.iter().map(|b| format!("{b:02x}")).collect();
                eprintln!("seed {seed}, iteration {tried}, {signal:?}, old {old}: {hex}");
                return ExitCode::FAILURE;
            }
        }
        tried += 1;
    }
    println!("fuzz: {tried} payloads, {accepted} accepted, no failure");
    // Neither kind may be rare, or the fuzz would look at one thing only.
    let share = accepted as f64 / tried.max(1) as f64;
    if tried > 1_000 && !(0.05..0.95).contains(&share) {
        eprintln!("the mutations are too mild or too wild: {share:.2} accepted");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn options() -> Option<(u64, u64)> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let (mut seconds, mut seed) = (20, now.map_or(1, |age| age.as_nanos() as u64));
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next()?.parse().ok()?;
        match name.as_str() {
            "--seconds" => seconds = value,
            "--seed" => seed = value,
            _ => return None,
        }
    }
    Some((seconds, seed))
}
