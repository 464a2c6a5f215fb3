//! What the server counts of itself. Counting is an atomic addition, wherever it happens; what can
//! be asked for is not counted but looked up when somebody reads.
//!
//! There is one server a process, so there is one of each: whoever counts needs nothing handed.

#[cfg(target_os = "linux")]
mod process;

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{LazyLock, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use http::StatusCode;
use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

/// What all names begin with.
const PREFIX: &str = "veche";

/// How long answers take, in seconds. Streams count up to their head, polls wait on purpose.
const ANSWERS: [f64; 12] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0,
];

/// How long a commit takes, in seconds: an fsync is some 50 µs on the fastest disks and 10 ms and
/// more on those that turn.
const COMMITS: [f64; 12] = [
    0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5,
];

/// Commands in a batch, of which the writer takes 512 at most.
const BATCHES: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

/// The statuses that are answered; others are found by name each time.
const STATUSES: [u16; 26] = [
    200, 201, 202, 204, 206, 304, 400, 401, 403, 404, 405, 408, 409, 410, 412, 413, 414, 415, 416,
    417, 422, 429, 431, 500, 501, 503,
];

/// The names of a path that leads nowhere.
const NONE: &str = "none";

/// The server's own.
pub(crate) static COUNTS: LazyLock<Counts> = LazyLock::new(Counts::new);

/// What is counted, and what is looked up for whoever reads.
pub(crate) struct Counts {
    registry: Registry,
    requests: IntCounterVec,
    seconds: HistogramVec,
    /// Requests whose path leads nowhere, or that are none.
    pub(crate) elsewhere: RouteCounts,
    /// Open connections.
    pub(crate) connections: IntGauge,
    /// Open connections to where features listen, by the feature and by its setting that says where.
    pub(crate) feature_connections: IntGaugeVec,
    /// Commands in a batch.
    pub(crate) batch: Histogram,
    /// What a commit takes: an fsync, mostly.
    pub(crate) commit: Histogram,
    /// Facts that were appended.
    pub(crate) facts: IntCounter,
    /// Event streams and long polls.
    pub(crate) streams: IntGauge,
    /// Requests that wait for the writer.
    pub(crate) writer_queue: IntGauge,
    /// Batches that wait for the hub.
    pub(crate) hub_queue: IntGauge,
    /// Facts that the log keeps.
    pub(crate) log_facts: IntGauge,
    /// The last durable position.
    pub(crate) log_position: IntGauge,
    /// Bytes of the database.
    pub(crate) log_bytes: IntGauge,
    /// Bytes of what is not brought over to it yet.
    pub(crate) wal_bytes: IntGauge,
    /// Times that something read was not what was written.
    pub(crate) damage: IntCounter,
    /// Lines of the log that nobody read.
    pub(crate) lost_lines: IntCounter,
    /// 1 while writes are taken.
    pub(crate) writable: IntGauge,
    /// Users, and those who are online.
    pub(crate) users: IntGauge,
    pub(crate) online: IntGauge,
    /// Those of features, by name.
    features: Mutex<BTreeMap<&'static str, IntCounter>>,
}

#[expect(
    clippy::expect_used,
    reason = "names and bounds are constants, and every start makes them all: no test passes with a wrong one"
)]
impl Counts {
    fn new() -> Self {
        let registry =
            Registry::new_custom(Some(PREFIX.to_owned()), None).expect("a prefix is a name");
        let gauge = |name: &str, about: &str| {
            let gauge = IntGauge::new(name, about).expect("a name");
            register(&registry, gauge)
        };
        let counter = |name: &str, about: &str| {
            let counter = IntCounter::new(name, about).expect("a name");
            register(&registry, counter)
        };
        let histogram = |name: &str, about: &str, bounds: &[f64]| {
            let options = HistogramOpts::new(name, about).buckets(bounds.to_vec());
            let histogram = Histogram::with_opts(options).expect("a name");
            register(&registry, histogram)
        };
        let requests = Opts::new("http_requests_total", "Requests that were answered");
        let seconds = HistogramOpts::new(
            "http_request_duration_seconds",
            "How long answers took, of streams their heads",
        );
        let seconds = HistogramVec::new(seconds.buckets(ANSWERS.to_vec()), &["method", "route"]);
        let guests = Opts::new(
            "feature_connections",
            "Open connections to where features listen",
        );
        let build = Opts::new("build_info", "The version, with the value 1")
            .const_label("version", env!("CARGO_PKG_VERSION"));
        let build = IntGauge::with_opts(build).expect("a name");
        register(&registry, build).set(1);
        Self {
            requests: register(
                &registry,
                IntCounterVec::new(requests, &["method", "route", "status"]).expect("a name"),
            ),
            seconds: register(&registry, seconds.expect("a name")),
            elsewhere: RouteCounts::new(NONE, NONE),
            connections: gauge("http_connections", "Open connections"),
            feature_connections: register(
                &registry,
                IntGaugeVec::new(guests, &["feature", "door"]).expect("a name"),
            ),
            batch: histogram("batch_commands", "Commands in a batch", &BATCHES),
            commit: histogram(
                "commit_duration_seconds",
                "How long commits took, their fsync included",
                &COMMITS,
            ),
            facts: counter("facts_total", "Facts that were appended"),
            streams: gauge("streams", "Open event streams and long polls"),
            writer_queue: gauge("writer_queue", "Requests that wait for the writer"),
            hub_queue: gauge("hub_queue", "Batches that wait to be fanned out"),
            log_facts: gauge("log_facts", "Facts that the log keeps"),
            log_position: gauge("log_position", "The last durable position"),
            log_bytes: gauge("log_bytes", "Bytes of the database"),
            wal_bytes: gauge("wal_bytes", "Bytes of its write-ahead log"),
            damage: counter("damage_total", "Readings that were not what was written"),
            lost_lines: counter(
                "log_lines_lost_total",
                "Lines of the log that could not be written",
            ),
            writable: gauge("writable", "Whether writes are taken: 1, or 0"),
            users: gauge("users", "Users"),
            online: gauge("users_online", "Users who are online"),
            features: Mutex::default(),
            registry,
        }
    }
}

#[expect(
    clippy::expect_used,
    reason = "as above: of two with one name, one is wrong"
)]
fn register<T: Collector + Clone + 'static>(registry: &Registry, made: T) -> T {
    let registered = registry.register(Box::new(made.clone()));
    registered.expect("a name of its own");
    made
}

impl Counts {
    /// All of it, as Prometheus reads it (text format 0.0.4), of a server that was started so many
    /// seconds after 1970.
    pub(crate) fn text(&self, started: f64) -> Result<String, Box<dyn Error + Send + Sync>> {
        let mut text = TextEncoder::new().encode_to_string(&self.registry.gather())?;
        #[cfg(target_os = "linux")]
        process::write(&mut text, started)?;
        Ok(text)
    }
}

/// What is counted of one route, each found by its name once.
pub(crate) struct RouteCounts {
    method: String,
    route: &'static str,
    requests: [OnceLock<IntCounter>; STATUSES.len()],
    seconds: OnceLock<Histogram>,
}

impl RouteCounts {
    /// Those of a route, by its pattern. Nothing is shown of one that nobody asks.
    pub(crate) fn new(method: &str, route: &'static str) -> Self {
        Self {
            method: method.to_owned(),
            route,
            requests: [const { OnceLock::new() }; STATUSES.len()],
            seconds: OnceLock::new(),
        }
    }

    /// Counts an answer.
    pub(crate) fn count(&self, status: StatusCode, took: Duration) {
        let status = status.as_u16();
        let find = || {
            let labels = [&self.method, self.route, &status.to_string()];
            COUNTS.requests.with_label_values(&labels)
        };
        match STATUSES.binary_search(&status) {
            Ok(place) => self.requests[place].get_or_init(find).inc(),
            Err(_) => find().inc(),
        }
        let find = || {
            let labels = [self.method.as_str(), self.route];
            COUNTS.seconds.with_label_values(&labels)
        };
        self.seconds.get_or_init(find).observe(took.as_secs_f64());
    }
}

/// A number as a gauge takes it.
pub(crate) fn signed(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

/// Something that a feature counts.
#[derive(Clone, Debug)]
pub struct Counter(IntCounter);

impl Counter {
    /// One more.
    pub fn add_one(&self) {
        self.0.inc();
    }
}

/// A counter of a feature's own, shown as `veche_NAME_total` with the others. The name begins with
/// the feature's; whoever asks for the same one counts on the same.
///
/// # Errors
/// A name with other characters than letters, digits and `_`, or one of the server's own.
pub fn counter(name: &'static str, about: &str) -> Result<Counter, String> {
    let mut known = COUNTS
        .features
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if let Some(counter) = known.get(name) {
        return Ok(Counter(counter.clone()));
    }
    let wrong = |error: prometheus::Error| format!("the counter {name:?}: {error}");
    let counter = IntCounter::new(format!("{name}_total"), about).map_err(wrong)?;
    COUNTS
        .registry
        .register(Box::new(counter.clone()))
        .map_err(wrong)?;
    known.insert(name, counter.clone());
    Ok(Counter(counter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statuses_are_in_order_so_that_they_are_found() {
        assert!(STATUSES.is_sorted());
    }

    #[test]
    fn a_route_counts_its_answers_by_status_whether_that_is_a_known_one_or_not() {
        let route = RouteCounts::new("GET", "/of/this/test");
        for status in [200, 200, 418] {
            let status = StatusCode::from_u16(status).expect("a status");
            route.count(status, Duration::from_millis(2));
        }
        let text = COUNTS.text(0.0).expect("text");
        for line in [
            "veche_http_requests_total{method=\"GET\",route=\"/of/this/test\",status=\"200\"} 2",
            "veche_http_requests_total{method=\"GET\",route=\"/of/this/test\",status=\"418\"} 1",
            "veche_http_request_duration_seconds_bucket{method=\"GET\",route=\"/of/this/test\",le=\"0.001\"} 0",
            "veche_http_request_duration_seconds_bucket{method=\"GET\",route=\"/of/this/test\",le=\"0.0025\"} 3",
        ] {
            assert!(text.lines().any(|known| known == line), "{line} in\n{text}");
        }
    }

    #[test]
    fn a_features_counter_is_one_however_often_it_is_asked_for() {
        let one = counter("lamp_switched", "How often lamps were switched").expect("a counter");
        let other = counter("lamp_switched", "How often lamps were switched").expect("the same");
        one.add_one();
        other.add_one();
        let text = COUNTS.text(0.0).expect("text");
        let line = "veche_lamp_switched_total 2";
        assert!(text.lines().any(|known| known == line), "{text}");
    }

    #[test]
    fn a_counter_with_no_name_or_one_of_the_servers_is_refused() {
        for name in ["lamp-switched", "facts"] {
            let error = counter(name, "Whatever").expect_err(name);
            assert!(error.contains(&format!("{name:?}")), "{error}");
        }
    }
}
