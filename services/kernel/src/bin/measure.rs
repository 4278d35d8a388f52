//! Decodes a file of payloads into compressed blocks, once to warm up and once to be measured.
//!
//!     valgrind --tool=callgrind --collect-atstart=no --toggle-collect=headrace_measured \
//!         measure traces FILE
//!
//! The file holds payloads, each behind its length (4 bytes, little-endian). Prints the rows.

use headrace_kernel::harness::{content, layouts, SIGNALS};
use headrace_kernel::{Builder, Treatment, LIMITS};
use std::hint::black_box;
use std::process::ExitCode;

const SHARDS: usize = 2;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, file] = arguments.as_slice() else {
        eprintln!("usage: measure traces|metrics|logs FILE");
        return ExitCode::from(2);
    };
    let found = SIGNALS
        .into_iter()
        .find(|signal| format!("{signal:?}").to_lowercase() == *name);
    let Some(signal) = found else {
        eprintln!("measure: no signal {name}");
        return ExitCode::from(2);
    };
    let bytes = match std::fs::read(file) {
        Ok(bytes) => bytes,
        Err(error) => {
            eprintln!("measure: {file}: {error}");
            return ExitCode::FAILURE;
        }
    };
    let Some(payloads) = split(&bytes) else {
        eprintln!("measure: {file} ends within a payload");
        return ExitCode::FAILURE;
    };
    let treatment = Treatment {
        content: content(),
        ..Treatment::default()
    };
    let headers = layouts(signal, false);
    let mut builder = match Builder::with(signal, &headers, SHARDS, true, LIMITS, treatment) {
        Ok(builder) => builder,
        Err(error) => {
            eprintln!("measure: {}", error.0);
            return ExitCode::FAILURE;
        }
    };
    let warm = round(&mut builder, &payloads);
    let rows = headrace_measured(&mut builder, &payloads);
    if rows != warm {
        eprintln!("measure: {warm} rows, then {rows}");
        return ExitCode::FAILURE;
    }
    println!("{rows}");
    ExitCode::SUCCESS
}

/// The payloads of the file, or nothing where it is cut.
fn split(mut bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut payloads = Vec::new();
    while !bytes.is_empty() {
        let (head, rest) = bytes.split_first_chunk::<4>()?;
        let (payload, rest) = rest.split_at_checked(u32::from_le_bytes(*head) as usize)?;
        payloads.push(payload);
        bytes = rest;
    }
    Some(payloads)
}

/// A name that callgrind finds. The black box keeps it apart from `round`: functions of equal code
/// are merged, and the warm-up would count.
#[no_mangle]
#[inline(never)]
extern "Rust" fn headrace_measured(builder: &mut Builder, payloads: &[&[u8]]) -> usize {
    black_box(round(builder, payloads))
}

#[inline(never)]
fn round(builder: &mut Builder, payloads: &[&[u8]]) -> usize {
    for payload in payloads {
        if let Err(reject) = builder.append(payload) {
            panic!("a refused payload: {reject:?}");
        }
    }
    let ids: Vec<u64> = (1..=builder.pending().len() as u64).collect();
    let blocks = builder.finish(&ids);
    blocks.iter().map(|(_, _, block)| block.rows).sum()
}
