//! Log lines on stderr. `RUST_LOG` says which; `[log] format` says how.

use tracing_subscriber::EnvFilter;

use crate::config::Format;

/// Sends the program's events to stderr.
pub(crate) fn start(format: Format) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // A line that can't be written is lost; to say so on the same stream would be a panic.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    match format {
        Format::Text => lines
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .init(),
        Format::Json => lines.json().flatten_event(true).init(),
    }
}
