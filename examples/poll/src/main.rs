//! A server of one's own: veche with the feature of this crate.

// Naming the crate links it in, and with it what it registers.
use poll as _;

fn main() -> std::process::ExitCode {
    veche::main()
}
