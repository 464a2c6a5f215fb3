//! Log lines on stderr. `RUST_LOG` says which; `[log] format` says how.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::Format;

/// What is written where nothing else is asked for.
const DEFAULT: LevelFilter = LevelFilter::INFO;

/// Sends the program's events to stderr.
pub(crate) fn start(format: Format) {
    let asked = std::env::var_os("RUST_LOG").unwrap_or_default();
    let read = asked.to_str().and_then(filter);
    let unreadable = read.is_none();
    let filter = read.unwrap_or_else(default);
    let lines = fmt::layer()
        // A line that can't be written is lost; to say so on the same stream would be a panic.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry().with(filter);
    match format {
        Format::Text => registry
            .with(lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())))
            .init(),
        Format::Json => registry.with(lines.json().flatten_event(true)).init(),
    }
    if unreadable {
        tracing::warn!("RUST_LOG can't be read, so it is {DEFAULT}");
    }
}

fn default() -> Targets {
    Targets::new().with_default(DEFAULT)
}

/// Which lines are written, by directives like `warn` or `info,veche::http=debug`: levels, for all
/// or for a target. Spans and fields can't be asked for; what matches them takes regular
/// expressions, and those take memory.
fn filter(directives: &str) -> Option<Targets> {
    let asked: Vec<&str> = directives
        .split(',')
        .map(str::trim)
        .filter(|directive| !directive.is_empty())
        .collect();
    if asked.is_empty() {
        return Some(default());
    }
    if directives.contains('[') {
        return None;
    }
    asked.join(",").parse().ok()
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn nothing_asked_for_is_info() {
        for nothing in ["", " ", ","] {
            let filter = filter(nothing).unwrap();
            assert!(filter.would_enable("veche::server", &Level::INFO));
            assert!(filter.would_enable("another", &Level::INFO));
            assert!(!filter.would_enable("veche::server", &Level::DEBUG));
        }
    }

    #[test]
    fn a_level_is_for_all_and_a_targets_for_what_lies_beneath_it() {
        let filter = filter("warn, veche::http=debug,").unwrap();
        assert!(filter.would_enable("veche::server", &Level::WARN));
        assert!(!filter.would_enable("veche::server", &Level::INFO));
        assert!(filter.would_enable("veche::http::conn", &Level::DEBUG));
        assert!(!filter.would_enable("veche::http::conn", &Level::TRACE));
        let off = super::filter("off").unwrap();
        assert!(!off.would_enable("veche", &Level::ERROR));
    }

    #[test]
    fn what_cannot_be_read_is_none() {
        for wrong in [
            "veche=loud",
            "veche=info=debug",
            "[request]=debug",
            "a[{b}]=info",
        ] {
            assert!(filter(wrong).is_none(), "{wrong}");
        }
    }
}
