#![no_main]

use headrace_kernel::{harness::check, Signal};

libfuzzer_sys::fuzz_target!(|payload: &[u8]| {
    check(Signal::Traces, payload.len() % 2 == 0, payload);
});
