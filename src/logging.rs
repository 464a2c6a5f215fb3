//! Log lines on stderr. `RUST_LOG` says which; `[log] format` says how. A line that is written for
//! a request ends with that one's name, which its answer has as `X-Request-Id`.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt as text;
use std::io::IsTerminal;
use std::panic::PanicHookInfo;

use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{self, FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::Format;
use crate::http::RequestId;

/// What is written where nothing else is asked for.
const DEFAULT: LevelFilter = LevelFilter::INFO;

/// Sends the program's events to stderr, panics among them.
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
        Format::Text => {
            let ansi = std::io::stderr().is_terminal();
            let form = Named {
                form: fmt::format().with_ansi(ansi),
                end: "\n",
                before: " request=",
                after: "\n",
            };
            registry
                .with(lines.with_ansi(ansi).event_format(form))
                .init();
        }
        Format::Json => {
            let form = Named {
                form: fmt::format().json().flatten_event(true),
                end: "}\n",
                before: ",\"request\":\"",
                after: "\"}\n",
            };
            // Fields of spans would be JSON, too; there are none.
            let fields = fmt::format::JsonFields::new();
            registry
                .with(lines.event_format(form).fmt_fields(fields))
                .init();
        }
    }
    std::panic::set_hook(Box::new(tell_of_panic));
    if unreadable {
        tracing::warn!("RUST_LOG can't be read, so it is {DEFAULT}");
    }
}

/// A panic as a line like any other, which programs can read and which names its request.
fn tell_of_panic(panic: &PanicHookInfo<'_>) {
    let words = panic.payload_as_str().unwrap_or("no words");
    let at = panic.location().map(tracing::field::display);
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured)
        .then(|| tracing::field::display(backtrace));
    tracing::error!(words, at, backtrace, "panicked");
}

/// A form of lines with the request's name at their end.
struct Named<F> {
    form: F,
    /// The end of the form's own lines, before which the name is put.
    end: &'static str,
    /// What stands before the name.
    before: &'static str,
    /// What stands after it.
    after: &'static str,
}

impl<S, N, F> FormatEvent<S, N> for Named<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> text::Result {
        let Some(request) = RequestId::current() else {
            return self.form.format_event(context, writer, event);
        };
        let mut line = String::new();
        self.form
            .format_event(context, Writer::new(&mut line), event)?;
        let line = line.strip_suffix(self.end).unwrap_or(&line);
        let (before, after) = (self.before, self.after);
        write!(writer, "{line}{before}{}{after}", request.as_str())
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
