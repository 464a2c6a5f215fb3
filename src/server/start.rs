//! Starting and stopping.

use std::fs::{DirBuilder, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};

use super::admin::{Board, Commands, Desk, Socket};
use super::gate::Gate;
use super::guesses::Guesses;
use super::works::{check_doors, end_works, open_doors, run_features};
use super::{Core, Lane, ServeError, Target, descriptors, signals, systemd};
use crate::bus::{
    Bus, Durable, Frames, Hub, Indexer, Shared, Snapshotter, World, Writer, WriterOptions,
};
use crate::chat::{self, Glimpses, Passwords, Tails};
use crate::cluster::{self, Cluster, ClusterError};
use crate::config::Config;
use crate::counts::RouteCounts;
use crate::feature::{Features, Field, Route, conflict, registry};
use crate::http::{self, Limits, RouteError, Router, Tls, TlsError};
use crate::log::Log;
use crate::log::reader::{Reader, Reading};
use crate::log::sqlite::{SqliteLog, lock_file};
use crate::objects::{Janitor, Sharing, Shelves, StoreError, Stores, sync_parent};
use crate::openapi::{self, Description};
use crate::time::Clock;
use crate::{logging, memory};

/// How long a stopping server waits for what is under way; with the flush it exits within 10 s.
pub(super) const DRAIN: Duration = Duration::from_secs(7);

/// After so long a stopping server ends whatever still works: what was acknowledged is durable.
const LAST: Duration = Duration::from_secs(9);

/// A node that is left behind again so soon ends.
const SETTLED: Duration = Duration::from_secs(60);

/// So many wait to have something looked for; one more is refused.
const SEARCHES: usize = 32;

/// One user's of these, the one that is looked for included: nobody waits long for another.
const PER_USER: usize = 3;

/// Locks a data folder against a second server, and makes it where it is not there; held as long as
/// the file is.
pub(crate) fn lock(folder: &Path) -> Result<File, ServeError> {
    let failed = |source| ServeError::Folder {
        folder: folder.display().to_string(),
        source,
    };
    // Private messages lie in it: it is its owner's alone. One that was made otherwise stays so.
    // Where it would lie in must be there: a disk that is not mounted is not to be taken for a new
    // server.
    match DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => sync_parent(folder).map_err(failed)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(source) => return Err(failed(source)),
    }
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(lock_file(folder))
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ServeError::Locked(folder.display().to_string())),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Says so where others of the machine may look into a data folder. What the server makes is its user's
/// alone wherever it lies, but what was there before has the rights that it had: those are not the
/// server's to take away.
fn warn_if_shared(folder: &Path) {
    let mode = folder.metadata().map_or(0, |found| found.mode() & 0o777);
    if mode & 0o077 != 0 {
        let (folder, mode) = (folder.display(), format!("{mode:03o}"));
        tracing::warn!(%folder, mode, "others may look into the data folder; chmod -R go-rwx keeps it private");
    }
}

fn open_tls(config: &Config) -> Result<Option<Tls>, TlsError> {
    let pair = config.tls.pair();
    pair.map(|(cert, key)| Tls::open(cert, key)).transpose()
}

/// Whether the certificate that the settings name can be used.
pub(crate) fn check_tls(config: &Config) -> Result<(), TlsError> {
    open_tls(config).map(drop)
}

/// Whether the files that `[cluster]` names can be read.
pub(crate) fn check_cluster(config: &Config) -> Result<(), ServeError> {
    match config.cluster.is_on() {
        true => Ok(cluster::check(&config.cluster)?),
        false => Ok(()),
    }
}

/// Whether the places of the features' objects are such that they could be used.
pub(crate) fn check_stores(config: &Config, features: &Features) -> Result<(), ServeError> {
    let shelves = Shelves::new(&config.server.data, &config.s3);
    for (_, place) in places(features) {
        shelves.check(&place)?;
    }
    Ok(())
}

/// Serves until SIGTERM or SIGINT, then drains; on the socket that was handed over, if one was. A node of
/// a cluster that was left behind begins anew, as a start does, on the same socket.
pub(crate) async fn serve(
    config: Config,
    handed: Option<std::net::TcpListener>,
) -> Result<(), ServeError> {
    let mut socket = handed;
    let mut left: Option<Instant> = None;
    loop {
        match serve_once(config.clone(), &mut socket, left.is_some()).await {
            // What a snapshot does not bring, another start doesn't, either.
            Err(ServeError::LeftBehind) if left.is_none_or(|left| left.elapsed() > SETTLED) => {
                tracing::warn!(
                    "the cluster's log has left this node behind: starting from a snapshot"
                );
                left = Some(Instant::now());
            }
            ended => return ended,
        }
    }
}

async fn serve_once(
    config: Config,
    socket: &mut Option<std::net::TcpListener>,
    is_again: bool,
) -> Result<(), ServeError> {
    if let Some(conflict) = conflict(registry()) {
        return Err(ServeError::Conflict(conflict));
    }
    let (mut stop, hangup) = (signals::stop()?, signals::hangup()?);
    let tls = open_tls(&config)?.map(Arc::new);
    let features = Arc::new(Features::build(&config).map_err(ServeError::Feature)?);
    check_doors(&config, &features)?;
    let _lock = lock(&config.server.data)?;
    warn_if_shared(&config.server.data);
    let log = SqliteLog::open(&config.server.data)?;
    let (mut log, cluster) = join(&config, log).await?;
    let behind = features.text_index();
    log.want_index(behind.is_some())?;
    let reader = Reader::new(&config.server.data);
    warn_of_places(&config, &features);
    let stores = Arc::new(open_stores(&config, &features, &reader, log.as_mut())?);
    stores.reach().await?;
    let clock = Clock::system();
    let mut world = World::load(log.as_ref())?;
    world.chat.switch_on(features.names());
    let pos = world.pos;
    let shared = Arc::new(Shared::new(world, clock.clone()));

    let (tasks, task_queue) = mpsc::channel(config.server.queue);
    let (durable, durable_seen) = watch::channel(Durable { generation: 0, pos });
    let frames = Frames::new(Arc::clone(&features), log.epoch());
    let (hub, fan_out) = Hub::new(
        frames,
        Arc::clone(&shared.world),
        clock,
        pos,
        config.server.streams,
        config.server.stream_queue,
    )?;
    let mut writer = Writer::new(WriterOptions {
        log,
        shared: Arc::clone(&shared),
        features: Arc::clone(&features),
        hub: Arc::clone(&hub),
        tasks: task_queue,
        durable,
        text_limit: config.chat.text,
        others: cluster.as_ref().map(|cluster| cluster.others()),
    });
    let following = cluster.as_ref().map(|cluster| {
        let shared = Arc::clone(&shared);
        cluster.follow(Arc::new(move || shared.notices.changed.notify_one()))
    });
    // Before it catches up: the writer waits where what it has to tell is not taken.
    let (fans, mut hub_gone) = oneshot::channel::<()>();
    let fan_out = std::thread::Builder::new()
        .name("hub".into())
        .spawn(move || {
            let _fans = fans;
            let ended = fan_out.run();
            if let Err(error) = &ended {
                tracing::error!(%error, "the hub can't wait for sockets");
            }
            ended
        })?;
    writer.catch_up();
    let bus = Bus::new(shared, tasks, durable_seen);
    let erasing = cluster
        .as_ref()
        .map(|cluster| cluster.erase(bus.clone(), reader.clone()));
    let keeping = cluster.as_ref().map(|cluster| {
        let (data, every) = (&config.server.data, config.storage.snapshot_every);
        cluster.keep(bus.clone(), data, every)
    });
    let runtime = tokio::runtime::Handle::current();
    let (alive, mut gone) = oneshot::channel::<()>();
    let writer = std::thread::Builder::new()
        .name("writer".into())
        .spawn(move || {
            let _alive = alive;
            writer.run(&runtime);
        })?;
    let snapshots = tokio::spawn(
        Snapshotter {
            every: config.storage.snapshot_every,
            keep: config.storage.keep,
            keep_facts: config.storage.keep_facts,
        }
        .run(bus.clone(), reader.clone()),
    );

    let indexing = behind.map(|behind| {
        let indexer = Indexer { behind };
        tokio::spawn(indexer.run(bus.clone(), reader.clone()))
    });

    let (mut listener, address) = match socket.as_ref() {
        Some(socket) => adopt(socket.try_clone()?).map_err(ServeError::Activation)?,
        None => listen(&config.server.listen).await?,
    };
    if cluster.is_some() && socket.is_none() {
        let (kept, used) = twice(listener)?;
        (*socket, listener) = (Some(kept), used);
    }
    let admin = admin_socket(&config)?;
    let doors = open_doors(&config, &features, tls.as_ref()).await?;
    let mut limits = limits(&config);
    limits.connections = descriptors::bound(limits.connections);
    let core = Arc::new(core(
        config,
        bus.clone(),
        reader.clone(),
        Arc::clone(&hub),
        features,
        Arc::clone(&stores),
        cluster.clone(),
    )?);
    let telling = cluster
        .as_ref()
        .map(|cluster| cluster.tell_online(Arc::clone(&hub)));
    let leading = cluster
        .clone()
        .map(|cluster| tokio::spawn(cluster.lead(Arc::clone(&core))));
    let desk = Arc::new(Desk::new(Arc::clone(&core)));
    let janitor = Janitor {
        stores: Arc::clone(&stores),
        reader: core.reader.clone(),
        bus: bus.clone(),
    };
    let cleaning = tokio::spawn(janitor.run());
    let (drain, draining) = watch::channel(false);
    let works = run_features(&core, doors, &draining);
    let scheme = if tls.is_some() { "https" } else { "http" };
    // What the start had to say is there before it is said to be over.
    logging::drain();
    // Whoever started this may not listen to what it says.
    if !is_again {
        let _ = writeln!(io::stdout(), "listening on {scheme}://{address}");
    }
    tracing::info!(%address, scheme, "listening");
    let gate = Arc::new(Gate(core));
    let serving = http::serve(listener, tls.clone(), gate, limits, draining.clone());
    let serving = tokio::spawn(serving);
    let administering = tokio::spawn(desk.serve(admin, draining));
    let reloading = tokio::spawn(signals::reload(hangup, tls));
    let watching = tokio::spawn(systemd::watch(bus.clone()));
    systemd::ready();
    memory::give_back_freed();
    let mut broken = false;
    tokio::select! {
        _ = stop.recv() => tracing::info!("stopping"),
        // Without the writer nothing can be kept: better to end, and be started again.
        _ = &mut gone => {
            tracing::error!("the writer is gone: stopping");
            broken = true;
        }
        _ = &mut hub_gone => tracing::error!("the hub is gone: stopping"),
        never = memory::give_back_at_rest(|| bus.durable_pos()) => match never {},
    }
    let last = end_at_last();
    reloading.abort();
    systemd::stopping();
    drain.send_replace(true);
    hub.stop();
    if let Err(error) = serving.await {
        tracing::error!(%error, "serving ended early");
    }
    if let Err(error) = administering.await {
        tracing::error!(%error, "the administrators' socket ended early");
    }
    snapshots.abort();
    indexing.into_iter().for_each(|indexing| indexing.abort());
    telling.into_iter().for_each(|telling| telling.abort());
    cleaning.abort();
    watching.abort();
    end_works(works).await;
    bus.stop().await;
    let stopped = tokio::task::spawn_blocking(move || writer.join()).await;
    if let Some(cluster) = &cluster {
        cluster.leave().await;
    }
    [following, erasing, keeping, leading]
        .into_iter()
        .flatten()
        .for_each(|work| work.abort());
    stores.delete_trash(&reader).await;
    hub.end();
    let fanned = tokio::task::spawn_blocking(move || fan_out.join()).await;
    if broken && cluster.is_some_and(|cluster| cluster.is_left_behind()) {
        last.store(true, Ordering::Release);
        return Err(ServeError::LeftBehind);
    }
    if broken || !matches!((stopped, fanned), (Ok(Ok(())), Ok(Ok(Ok(()))))) {
        return Err(ServeError::Broken);
    }
    tracing::info!("stopped");
    Ok(())
}

/// Ends the process where stopping takes too long: a thread may still be at work that nobody waits
/// for any more, or at a file that does not answer.
///
/// It does not where what is returned is set by then.
fn end_at_last() -> Arc<AtomicBool> {
    let ended = Arc::new(AtomicBool::new(false));
    let has_ended = Arc::clone(&ended);
    let end = move || {
        std::thread::sleep(LAST);
        if has_ended.load(Ordering::Acquire) {
            return;
        }
        tracing::warn!(
            "stopping takes too long: ending what still works; nothing that was answered is lost"
        );
        logging::drain();
        std::process::exit(0);
    };
    let watch = std::thread::Builder::new().name("last".into()).spawn(end);
    if let Err(error) = watch {
        tracing::warn!(%error, "starting a thread");
    }
    ended
}

/// The log that the writer gets: this machine's own, or the cluster's.
async fn join(
    config: &Config,
    mut log: SqliteLog,
) -> Result<(Box<dyn Log>, Option<Arc<Cluster>>), ServeError> {
    if !config.cluster.is_on() {
        if log.leave_stream().map_err(ClusterError::from)? {
            tracing::warn!(
                "this folder was a cluster's node; from now on it is a server of its own"
            );
        }
        return Ok((Box::new(log), None));
    }
    let data = &config.server.data;
    let (log, cluster) = Cluster::join(&config.cluster, data, log, config.chat.text).await?;
    Ok((Box::new(log), Some(Arc::new(cluster))))
}

/// Where each feature that is on keeps its objects, if it has any.
fn places(features: &Features) -> Vec<(&'static str, String)> {
    let places = features.iter();
    let places = places.filter_map(|feature| Some((feature.name(), feature.objects()?.to_owned())));
    places.collect()
}

/// Says so where the nodes of a cluster have the objects of a feature each for itself.
fn warn_of_places(config: &Config, features: &Features) {
    if !config.cluster.is_on() {
        return;
    }
    for (feature, place) in places(features) {
        let is_url = place.contains("://");
        if !is_url
            && config
                .server
                .data
                .join(&place)
                .starts_with(&config.server.data)
        {
            tracing::warn!(
                feature,
                place,
                "these objects lie in the data folder of this node, and the other nodes can't read them: set \
                 `store` to a bucket, or `dir` to a folder that all nodes reach"
            );
        }
    }
}

fn open_stores(
    config: &Config,
    features: &Features,
    reader: &Reader,
    log: &mut dyn Log,
) -> Result<Stores, StoreError> {
    let known = reader.read_here(Reading::stores)?;
    let sharing = if config.cluster.is_on() {
        Sharing::Nodes
    } else {
        Sharing::Alone
    };
    Stores::open(
        &config.server.data,
        &config.s3,
        &places(features),
        known,
        log,
        sharing,
    )
}

async fn listen(address: &str) -> Result<(TcpListener, std::net::SocketAddr), ServeError> {
    let failed = |source| ServeError::Listen {
        address: address.to_owned(),
        source,
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// A socket that is listened on, to be listened on again.
fn twice(listener: TcpListener) -> io::Result<(std::net::TcpListener, TcpListener)> {
    let kept = listener.into_std()?;
    let used = TcpListener::from_std(kept.try_clone()?)?;
    Ok((kept, used))
}

fn adopt(socket: std::net::TcpListener) -> io::Result<(TcpListener, std::net::SocketAddr)> {
    socket.set_nonblocking(true)?;
    let listener = TcpListener::from_std(socket)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

fn limits(config: &Config) -> Limits {
    let server = &config.server;
    let head = usize::try_from(server.head.bytes()).unwrap_or(usize::MAX);
    Limits {
        connections: server.connections,
        per_address: server.per_address,
        exempt: server.exempt(),
        proxies: server.proxies(),
        request_line: head,
        head,
        fields: server.fields,
        head_timeout: server.head_timeout.to_std(),
        body_timeout: server.body_timeout.to_std(),
        idle_timeout: server.idle_timeout.to_std(),
        write_timeout: server.write_timeout.to_std(),
        unsent: u32::try_from(server.unsent.bytes()).unwrap_or(u32::MAX),
        drain_timeout: DRAIN,
    }
}

/// The owner's name of what is the core's, as others read it.
const CORE: &str = "core";

/// What can be asked for, each route with the name of its feature or `core`.
struct Api {
    on: Vec<(&'static str, Route)>,
    /// Those of features that are off.
    off: Vec<(&'static str, Route)>,
    /// What features that are on add to what others declare.
    fields: Vec<Field>,
}

fn api(features: &Features) -> Api {
    let mut on: Vec<(&str, Route)> = chat::routes()
        .routes
        .into_iter()
        .map(|route| (CORE, route))
        .collect();
    let mut off = Vec::new();
    let mut fields = Vec::new();
    for registration in registry() {
        let declared = (registration.routes)();
        let routes = declared.routes.into_iter();
        let routes = routes.map(|route| (registration.name, route));
        if features.is_on(registration.name) {
            on.extend(routes);
            fields.extend(declared.fields);
        } else {
            off.extend(routes);
        }
    }
    Api { on, off, fields }
}

/// What administrators can ask for, in the same way.
fn commands(features: &Features) -> Commands {
    let core = chat::routes().commands.into_iter();
    let mut commands = Commands {
        on: core.map(|command| (CORE, command)).collect(),
        off: Vec::new(),
    };
    for registration in registry() {
        let declared = (registration.routes)().commands.into_iter();
        let declared = declared.map(|command| (registration.name, command));
        if features.is_on(registration.name) {
            commands.on.extend(declared);
        } else {
            commands.off.extend(declared);
        }
    }
    commands
}

/// The administrators' socket, unless the settings want none.
fn admin_socket(config: &Config) -> Result<Option<Socket>, ServeError> {
    let Some(path) = config.server.admin_socket() else {
        return Ok(None);
    };
    let failed = |source| ServeError::Admin {
        path: path.display().to_string(),
        source,
    };
    Socket::open(path.clone()).map(Some).map_err(failed)
}

fn core(
    config: Config,
    bus: Bus,
    reader: Reader,
    hub: Arc<Hub>,
    features: Arc<Features>,
    stores: Arc<Stores>,
    cluster: Option<Arc<Cluster>>,
) -> Result<Core, RouteError> {
    let Api { on, off, .. } = api(&features);
    let described = Arc::clone(&features);
    let openapi = Description::new(move || {
        let Api { on, fields, .. } = api(&described);
        openapi::document(&on, &fields)
    });
    let mut router = Router::new();
    let on = on.into_iter().map(|(_, route)| (route, None));
    let off = off.into_iter().map(|(name, route)| (route, Some(name)));
    for (route, off) in on.chain(off) {
        let target = Target {
            path: route.path,
            open: route.open,
            body: route.body.is_some(),
            body_optional: route.body_optional,
            run: route.run,
            off,
            counts: RouteCounts::new(route.method.as_str(), route.path),
        };
        router.add(route.method, route.path, target)?;
    }
    Ok(Core {
        board: Board::new(commands(&features))?,
        guesses: Guesses::new(&config.server),
        passwords: Passwords::new(config.server.exempt()),
        searches: Lane::new(1, SEARCHES, PER_USER, "too many look for something"),
        config,
        bus,
        reader,
        hub,
        features,
        tails: Tails::default(),
        glimpses: Glimpses::default(),
        stores,
        cluster,
        started: Instant::now(),
        router,
        openapi,
    })
}
