//! The engine, libFuzzer, around one target. Its last argument is the name of the target.
#![no_main]

use std::sync::OnceLock;

use fuzz::Target;

static TARGET: OnceLock<&'static Target> = OnceLock::new();

fn target() -> &'static Target {
    TARGET.get_or_init(|| {
        let name = std::env::args().next_back().unwrap_or_default();
        fuzz::find(&name).expect("the last argument is the name of a target")
    })
}

libfuzzer_sys::fuzz_target!(init: { target(); }, |data: &[u8]| (target().run)(data));
