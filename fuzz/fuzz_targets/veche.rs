//! libFuzzer at one of the targets of `src/fuzz.rs`, which `VECHE_FUZZ_TARGET` names.

#![no_main]

use std::cell::OnceCell;

use libfuzzer_sys::fuzz_target;
use veche::fuzz::{Target, target};

thread_local! {
    static CHOSEN: OnceCell<Target> = const { OnceCell::new() };
}

fuzz_target!(|input: &[u8]| {
    CHOSEN.with(|chosen| {
        let chosen = chosen.get_or_init(|| {
            let name = std::env::var("VECHE_FUZZ_TARGET").unwrap_or_default();
            target(&name).expect("VECHE_FUZZ_TARGET names a target of src/fuzz.rs")
        });
        chosen(input);
    });
});
