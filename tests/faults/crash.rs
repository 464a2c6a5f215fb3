//! SIGKILL and power cuts at random points under load.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;

use rusqlite::Connection;
use veche::testing::{Folder, Server, wait_until};

use crate::ledger::{Ledger, config};
use crate::random::Random;
use crate::rounds;
use crate::shim::{Cut, Shim};

/// Rounds on one data folder: what is compared grows with each.
const ON_ONE: usize = 10;

/// Snapshots are made and the log is trimmed all the time.
const TRIMMED: &str = "[storage]\nkeep = \"0s\"\nkeep_facts = 0\nsnapshot_every = 1\n";

/// Kills the server while all write, and does `after` before it is started again.
fn round(
    server: &mut Server,
    ledger: &Ledger,
    random: &mut Random,
    after: impl FnOnce(&Server, &mut Random),
) {
    let enough = ledger.answered.load(Ordering::Relaxed) + 1 + random.below(40);
    let open: Vec<_> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..ledger.writers())
            .map(|by| {
                let mut random = Random::new(random.next());
                scope.spawn(move || ledger.write_until_gone(by, &mut random))
            })
            .collect();
        wait_until("some writes to be answered", || {
            let some = ledger.answered.load(Ordering::Relaxed);
            (some >= enough || writers.iter().any(|writer| writer.is_finished())).then_some(())
        });
        server.kill();
        let joined = writers
            .into_iter()
            .map(|writer| writer.join().expect("a writer ends"));
        joined.flatten().collect()
    });
    after(server, random);
    server.restart();
    ledger.settle(open);
}

/// Kills servers under load, and cuts their power where that is asked for. Gives what the cuts took:
/// writes, and changes to folders.
fn survives(cuts: bool) -> (usize, usize) {
    let mut random = Random::seeded();
    let mut taken = (0, 0);
    let mut left = rounds(50);
    let mut trimmed = false;
    while left > 0 {
        let server = Server::builder().config(config() + if trimmed { TRIMMED } else { "" });
        // One for each: numbers of files are used again.
        let shim = cuts.then(Shim::new);
        let mut server = match &shim {
            Some(shim) => shim.around(server).start(),
            None => server.start(),
        };
        let ledger = Ledger::new(&server);
        for _ in 0..left.min(ON_ONE) {
            round(&mut server, &ledger, &mut random, |server, random| {
                if let Some(shim) = &shim {
                    let cut = if random.coin() { Cut::All } else { Cut::Some };
                    let (writes, entries) = shim.cut(&server.data(), cut, random);
                    taken = (taken.0 + writes, taken.1 + entries);
                }
            });
            ledger.check(!trimmed);
        }
        left = left.saturating_sub(ON_ONE);
        trimmed = !trimmed;
    }
    taken
}

#[test]
fn what_was_answered_before_a_kill_is_there_once_in_order_for_its_audience() {
    survives(false);
}

#[test]
fn what_was_answered_before_a_power_cut_is_there_once_in_order_for_its_audience() {
    let taken = survives(true);
    println!("taken: {taken:?}");
    assert!(taken.0 > 0, "the power was cut while nothing was under way");
}

/// The name of the test that is the program below, and the variables that make it one.
const PROGRAM: &str = "crash::a_program_of_its_own_writes_rows";
const MODE: &str = "VECHE_FAULTS_PROGRAM";

#[test]
fn a_power_cut_takes_what_a_missing_fsync_would_have_kept() {
    for (mode, loses) in [("NORMAL", true), ("FULL", false)] {
        let shim = Shim::new();
        let folder = Folder::new();
        let data = folder.join("data");
        std::fs::create_dir(&data).expect("a folder");
        let test = std::env::current_exe().expect("a test knows its own file");
        let mut program = Command::new(test)
            .args(["--exact", PROGRAM, "--nocapture"])
            .current_dir(folder.path())
            .envs(shim.environment("data"))
            .env(MODE, mode)
            .stdout(Stdio::null())
            .spawn()
            .expect("the test starts itself");
        let told = folder.join("told");
        let acknowledged = wait_until("rows to be acknowledged", || {
            let told = std::fs::read(&told).ok()?;
            (told.len() >= 20).then_some(told.len())
        });
        program.kill().expect("it runs");
        program.wait().expect("it ends");
        shim.cut(&data, Cut::All, &mut Random::new(1));
        let kept = count(&data);
        assert_eq!(
            kept < acknowledged,
            loses,
            "{mode}: {kept} of {acknowledged}"
        );
    }
}

fn count(data: &Path) -> usize {
    let database = Connection::open(data.join("x.db")).expect("a database");
    let count = database.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0));
    // Where nothing was kept, the table was not either.
    usize::try_from(count.unwrap_or(0)).expect("a count")
}

/// Not a test, but the program that the one above runs: it writes rows, and a byte for each that
/// SQLite has acknowledged.
#[test]
fn a_program_of_its_own_writes_rows() {
    let Ok(mode) = std::env::var(MODE) else {
        return;
    };
    let mut told = std::fs::File::create("told").expect("a file");
    let database = Connection::open("data/x.db").expect("a database");
    database
        .execute_batch(&format!(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = {mode}; CREATE TABLE t (a);"
        ))
        .expect("a table");
    // Until it is killed, and not for ever.
    for _ in 0..100_000 {
        database
            .execute("INSERT INTO t VALUES (1)", [])
            .expect("a row");
        told.write_all(b".").expect("a byte");
    }
}
