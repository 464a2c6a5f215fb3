//! The veche binary: the library's server with the features of this folder.

fn main() -> std::process::ExitCode {
    veche::main()
}
