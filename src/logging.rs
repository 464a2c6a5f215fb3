//! Log lines on stderr. `RUST_LOG` says which; `[log] format` says how. A line that is written for
//! a request ends with that one's name, which its answer has as `X-Request-Id`.

mod stderr;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::borrow::Cow;
use std::fmt::{self as text, Write as _};
use std::io::{self, IsTerminal, Write};
use std::panic::PanicHookInfo;
use std::sync::OnceLock;
use std::thread;

use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{self, FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::Format;
use crate::http::RequestId;
use crate::inert::steers;
use stderr::{STDERR, Way, Weight};

/// What is written where nothing else is asked for.
const DEFAULT: LevelFilter = LevelFilter::INFO;

/// Set when lines go their way by themselves.
static STARTED: OnceLock<()> = OnceLock::new();

/// Sends the program's events to stderr, panics among them; none of them waits for whoever reads it.
///
/// # Errors
/// There is no thread to be had for it.
pub(crate) fn start(format: Format) -> io::Result<()> {
    let write = || -> () { STDERR.write_to(io::stderr()) };
    thread::Builder::new().name("log".into()).spawn(write)?;
    STARTED.get_or_init(|| ());
    let asked = std::env::var_os("RUST_LOG").unwrap_or_default();
    let read = asked.to_str().and_then(filter);
    let unreadable = read.is_none();
    let filter = read.unwrap_or_else(default);
    let is_text = format == Format::Text;
    let lines = fmt::layer()
        // A line that can't be written is lost; to say so on the same stream would be a panic.
        .log_internal_errors(false)
        // What a peer wrote may be in any field, so all of a line is made inert, and coloured after.
        .with_ansi(false)
        .with_ansi_sanitization(false)
        .with_writer(Lines {
            is_coloured: is_text && io::stderr().is_terminal(),
        });
    let registry = tracing_subscriber::registry().with(filter);
    match format {
        Format::Text => {
            let form = Named {
                form: fmt::format().with_ansi(false),
                end: "\n",
                before: " request=",
                after: "\n",
            };
            registry.with(lines.event_format(form)).init();
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
    Ok(())
}

/// Waits until what was logged so far is written, for a moment at most.
pub(crate) fn drain() {
    if STARTED.get().is_some() {
        STDERR.drain();
    }
}

/// Says on stderr why the program ends, behind all that was logged.
pub(crate) fn complain(reason: &str) {
    let line = format!("veche: {reason}\n");
    // Without a stderr nobody can be told.
    let _ = match STARTED.get() {
        Some(()) => Way(Weight::Grave).write_all(line.as_bytes()),
        None => io::stderr().write_all(line.as_bytes()),
    };
    drain();
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

/// Makes each line's writer.
struct Lines {
    is_coloured: bool,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<Way>;

    fn make_writer(&'a self) -> Line<Way> {
        let (to, colour) = (Way(Weight::Ordinary), "");
        Line { to, colour }
    }

    fn make_writer_for(&'a self, of: &Metadata<'_>) -> Line<Way> {
        let colour = match *of.level() {
            _ if !self.is_coloured => "",
            Level::ERROR => "31",
            Level::WARN => "33",
            Level::INFO => "",
            Level::DEBUG | Level::TRACE => "2",
        };
        let to = Way(match *of.level() {
            Level::ERROR | Level::WARN => Weight::Grave,
            Level::INFO | Level::DEBUG | Level::TRACE => Weight::Ordinary,
        });
        Line { to, colour }
    }
}

/// Writes one line, which the formatter gives whole, with nothing in it that steers a terminal.
struct Line<W> {
    to: W,
    /// The parameter of the sequence that selects the colour (ECMA-48, section 8.3.117).
    colour: &'static str,
}

impl<W: Write> Write for Line<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let plain = line.strip_suffix(b"\n").unwrap_or(line);
        // Most lines are, and those cost one look at their bytes.
        if self.colour.is_empty() && plain.iter().all(|byte| matches!(byte, b' '..=b'~')) {
            return self.to.write_all(line).map(|()| line.len());
        }
        let text = String::from_utf8_lossy(line);
        let text = inert(text.strip_suffix('\n').unwrap_or(&text));
        match self.colour {
            "" => self.to.write_all(format!("{text}\n").as_bytes())?,
            colour => {
                let coloured = format!("\u{1b}[{colour}m{text}\u{1b}[0m\n");
                self.to.write_all(coloured.as_bytes())?;
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// A line with each character that steers as JSON escapes it, so that a line of JSON stays one: there
/// it can only stand in a string.
fn inert(line: &str) -> Cow<'_, str> {
    if !line.contains(steers) {
        return line.into();
    }
    let mut inert = String::with_capacity(line.len() + 16);
    for c in line.chars() {
        if steers(c) {
            // All of them are in the first plane, and writing to a string can't fail.
            let _ = write!(inert, "\\u{:04x}", u32::from(c));
        } else {
            inert.push(c);
        }
    }
    inert.into()
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

    fn written(line: &str, colour: &'static str) -> String {
        let mut to = Vec::new();
        let written = Line {
            to: &mut to,
            colour,
        }
        .write(line.as_bytes());
        assert_eq!(written.expect("a vector takes it"), line.len());
        String::from_utf8(to).expect("text")
    }

    #[test]
    fn a_line_is_one_line_and_steers_no_terminal() {
        assert_eq!(
            written("plain ünï {\"a\": 1}\n", ""),
            "plain ünï {\"a\": 1}\n"
        );
        assert_eq!(written("a\nFORGED\r\n", ""), "a\\u000aFORGED\\u000d\n");
        for c in [
            '\0', '\u{1b}', '\u{7f}', '\u{9b}', '\u{202e}', '\u{2028}', '\u{2066}',
        ] {
            let line = written(&format!("a{c}b\n"), "");
            assert_eq!(line, format!("a\\u{:04x}b\n", u32::from(c)));
            let json: serde_json::Value =
                serde_json::from_str(&format!("\"{}\"", line.trim_end())).expect("JSON");
            assert_eq!(json, format!("a{c}b"));
        }
        assert_eq!(
            written("a\u{1b}[2Jb\n", "31"),
            "\u{1b}[31ma\\u001b[2Jb\u{1b}[0m\n"
        );
    }

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
