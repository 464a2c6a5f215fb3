//! **files**: files in messages.
//!
//! ```sh
//! curl -H "Authorization: Bearer $TOKEN" $URL/files -F file=@photo.jpg
//! curl -H "Authorization: Bearer $TOKEN" "$URL/files?name=notes.txt" \
//!     -H 'Content-Type: text/plain' --data-binary @notes.txt
//! curl -H "Authorization: Bearer $TOKEN" $URL/send --json '{"to": "common", "file": "3f1c2a9e-..."}'
//! curl -H "Authorization: Bearer $TOKEN" $URL/files/3f1c2a9e-... -OJ
//! ```
//!
//! ```toml
//! [features.files]
//! max_size = "5MiB"
//! dir = "files"
//! store = ""
//! orphan = "1h"
//! pending = 1000
//! ```
//!
//! A file is an object with a row that says its name, type and size. The upload's row stands by
//! itself until a message holds it; from then on it lives as long as some message does, and the
//! object with it. An upload that no message takes up is gone after a while.
//!
//! Nothing that is uploaded can act in a browser: a file is always an attachment, its type is
//! never guessed, and it is sandboxed.

#[path = "files/name.rs"]
mod name;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use veche::prelude::*;

/// Uploads forgotten in one go.
const AT_ONCE: usize = 100;

/// Uploads of one user under way at once.
const UNDER_WAY: usize = 64;

/// The longest media type that is kept.
const KIND: usize = 127;

/// What nothing is known of.
const UNKNOWN: &str = "application/octet-stream";

settings! {
    /// Files in messages.
    pub struct Settings {
        /// How large a file may be, at least 1B. A larger one is answered 413.
        pub max_size: Size = Size::mib(5) => Size::b(1)..,
        /// The folder of the files, in the data folder where the path is relative. Whoever changes
        /// it moves the files.
        pub dir: String = "files".to_owned() => |dir: &String| is_folder(dir),
        /// Where the files lie instead, as "s3://BUCKET/PREFIX"; [s3] says how that is reached. Empty: in
        /// dir.
        pub store: String = String::new() => |store: &String| is_store(store),
        /// How long an upload may wait to be sent in a message; then it is gone. At least 1s.
        pub orphan: Period = Period::hours(1) => Period::secs(1)..,
        /// How many uploads of one user may wait to be sent, 1 to 1000000.
        pub pending: usize = 1000 => 1..=1_000_000,
    }
}

fn is_folder(dir: &str) -> Result<(), String> {
    // None of ".", ".." and "/" has one.
    if std::path::Path::new(dir.trim()).file_name().is_none() {
        return Err("must name a folder of its own, such as \"files\"".to_owned());
    }
    Ok(())
}

/// The rest of it is the core's to look at.
fn is_store(store: &str) -> Result<(), String> {
    if store.is_empty() || store.starts_with("s3://") {
        return Ok(());
    }
    Err("must be s3://BUCKET/PREFIX, or empty".to_owned())
}

/// Files in messages.
pub struct Files {
    settings: Settings,
    /// How many uploads of each user are under way.
    under_way: Mutex<BTreeMap<UserId, usize>>,
}

/// An upload that is under way.
struct UnderWay<'a> {
    files: &'a Files,
    user: UserId,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut all = self.files.under_way();
        let left = all.get(&self.user).map_or(0, |count| count - 1);
        if left == 0 {
            all.remove(&self.user);
        } else {
            all.insert(self.user, left);
        }
    }
}

feature!(Files);

/// What can happen to an upload. `row` names it: the position of the fact that made it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// It came in. Its name is in this fact's row.
    Uploaded {
        /// When it is gone if nothing holds it.
        until: Time,
    },
    /// Something holds it.
    Held {
        /// Which one.
        row: Id,
    },
    /// Nothing came to hold them.
    Dropped {
        /// Which ones.
        rows: Vec<Id>,
    },
}

/// The uploads that nothing holds yet.
#[derive(Default, Serialize, Deserialize)]
pub struct State {
    waiting: BTreeMap<Id, Waiting>,
    by_end: BTreeSet<(Time, Id)>,
    by_user: BTreeMap<UserId, usize>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct Waiting {
    by: UserId,
    until: Time,
}

impl State {
    fn remove(&mut self, row: Id) {
        let Some(waiting) = self.waiting.remove(&row) else {
            return;
        };
        self.by_end.remove(&(waiting.until, row));
        if let Some(count) = self.by_user.get_mut(&waiting.by) {
            *count -= 1;
            if *count == 0 {
                self.by_user.remove(&waiting.by);
            }
        }
    }
}

/// What a raw upload is called.
#[derive(Deserialize, JsonSchema)]
struct Named {
    /// The file's name; a form gives it with the file.
    #[serde(default)]
    name: Option<String>,
}

/// What is said of a file, in its row.
#[derive(Clone, Serialize, Deserialize)]
struct About {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    size: u64,
    sha256: String,
}

/// A file.
#[derive(Serialize, JsonSchema)]
struct File {
    /// A UUID.
    #[schemars(with = "strings::Uuid")]
    id: String,
    /// Its name: no path, no control characters.
    name: String,
    /// Its media type, as the uploader told it.
    #[serde(rename = "type")]
    kind: String,
    /// In bytes.
    size: u64,
    /// The SHA-256 of its bytes, in hex.
    sha256: String,
    /// Where it is.
    url: String,
}

impl File {
    fn new(id: Uuid, about: About) -> Self {
        Self {
            id: id.to_string(),
            name: about.name,
            kind: about.kind,
            size: about.size,
            sha256: about.sha256,
            url: format!("/files/{id}"),
        }
    }

    /// The file of a row; none if the row is not readable.
    fn of(row: &Row) -> Option<Self> {
        let about = serde_json::from_str(row.text.as_deref()?).ok()?;
        Some(Self::new(row.object?, about))
    }
}

/// What may be uploaded.
#[derive(Serialize, JsonSchema)]
struct Allowed {
    /// The largest file, in bytes.
    max_size: u64,
}

impl Feature for Files {
    const ABOUT: &'static str = "Files in messages";

    type Settings = Settings;
    type State = State;
    type Fact = Fact;

    fn new(settings: Settings) -> Result<Self, String> {
        Ok(Self {
            settings,
            under_way: Mutex::default(),
        })
    }

    fn objects(&self) -> Option<&str> {
        let Settings { store, dir, .. } = &self.settings;
        Some(if store.is_empty() { dir } else { store })
    }

    fn routes() -> Routes<Self> {
        Routes::new()
            .upload("/files", "Uploads a file", Self::receive, Self::keep)
            .returns::<File>(201, "The file, for a message to take up")
            .get("/files/{id}", "A file", Self::serve)
            .returns_file("All of it")
            .draft_field::<String>("file", "The id of an upload, or of a file that one sees")
            .message_field::<File>("file", "The file in it")
            .server_part::<Allowed>("How large a file may be")
    }

    fn check(&self, state: &State, draft: &Draft<'_>, tx: &Tx<'_>) -> Verdict<Fact> {
        match draft.field("file") {
            None => Verdict::pass(),
            Some(file) => Self::attach(state, draft, tx, file).unwrap_or_else(Verdict::refuse),
        }
    }

    fn apply(state: &mut State, fact: Fact, stamp: &Stamp) {
        match fact {
            Fact::Uploaded { until } => {
                if let Some(by) = stamp.by {
                    state.waiting.insert(stamp.pos, Waiting { by, until });
                    state.by_end.insert((until, stamp.pos));
                    *state.by_user.entry(by).or_default() += 1;
                }
            }
            Fact::Held { row } => state.remove(row),
            Fact::Dropped { rows } => rows.into_iter().for_each(|row| state.remove(row)),
        }
    }

    fn due(&self, state: &State, _: &Tx<'_>) -> Option<Time> {
        state.by_end.first().map(|(until, _)| *until)
    }

    fn wake(&self, state: &State, tx: &mut Tx<'_>) -> Result<(), Problem> {
        let ended = state.by_end.iter().take_while(|(end, _)| *end <= tx.now());
        let rows: Vec<Id> = ended.map(|(_, row)| *row).take(AT_ONCE).collect();
        if rows.is_empty() {
            return Ok(());
        }
        tx.erase::<Self>(rows.clone())?;
        tx.record(Entry::<Self>::new(Fact::Dropped { rows }))
            .map(drop)
    }

    fn show(&self, _: &State, of: &Subject<'_>, _: &View<'_>, to: &mut Fields) {
        match of {
            Subject::Message(message) => {
                if let Some(file) = message.held::<Self>().next().and_then(File::of) {
                    to.set("file", json!(file));
                }
            }
            Subject::Server => to.set_all(&Allowed {
                max_size: self.settings.max_size.bytes(),
            }),
            Subject::User(_) | Subject::Chat { .. } => {}
        }
    }
}

impl Files {
    async fn receive(
        ask: Ask<Self>,
        query: Named,
        upload: Upload,
    ) -> Result<(Object, About), Problem> {
        let files = ask.feature()?;
        // Who may not upload is told before they have sent it all.
        let judge = Arc::clone(&files);
        ask.judge(move |tx, call| judge.may_upload(tx, call.user, "").map(drop))
            .await?;
        let _under_way = files.begin(ask.call.user)?;
        let mut reader = upload.open(files.settings.max_size.bytes()).await?;
        let mut object = ask.new_object().await?;
        while let Some(piece) = reader.chunk().await? {
            object.write(&piece).await?;
        }
        let object = object.finish().await?;
        let given = query.name.as_deref().or(reader.name());
        let about = About {
            name: name::clean(given.unwrap_or_default()),
            kind: media_type(reader.kind()),
            size: object.size,
            sha256: object.sha256.clone(),
        };
        Ok((object, about))
    }

    fn under_way(&self) -> MutexGuard<'_, BTreeMap<UserId, usize>> {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Each upload takes a connection and a buffer, which others need, too.
    fn begin(&self, user: UserId) -> Result<UnderWay<'_>, Problem> {
        let mut all = self.under_way();
        let count = all.entry(user).or_default();
        if *count >= UNDER_WAY {
            let detail = format!("{UNDER_WAY} uploads may be under way at once");
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_uploads", detail);
            return Err(problem.retry_after(1));
        }
        *count += 1;
        Ok(UnderWay { files: self, user })
    }

    /// Whether a user may upload now, by every feature's word.
    fn may_upload(&self, tx: &Tx<'_>, user: UserId, name: &str) -> Result<PassedDraft, Problem> {
        let mut draft = Draft::message(user, Address::User(user), name);
        draft.purpose = Purpose::Upload;
        let passed = tx.check(&draft)?;
        let state = tx.state::<Self>();
        let most = self.settings.pending;
        if state.by_user.get(&user).is_none_or(|count| *count < most) {
            return Ok(passed);
        }
        let detail = format!("{most} uploads may wait to be sent; send some, or wait");
        let first = state.waiting.values().filter(|waiting| waiting.by == user);
        let first = first
            .map(|waiting| tx.now().seconds_until(waiting.until))
            .min();
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_uploads", detail);
        Err(problem.retry_after(first.unwrap_or(0).max(1)))
    }

    fn keep(
        &self,
        tx: &mut Tx<'_>,
        call: &Call,
        object: &Object,
        about: &About,
    ) -> Result<Answer, Problem> {
        let mut passed = self.may_upload(tx, call.user, &about.name)?;
        let until = tx.now().plus(self.settings.orphan);
        let uploaded = Entry::<Self>::new(Fact::Uploaded { until })
            .kept()
            .object(object.id)
            .text(&json!(about).to_string())
            .passed(&mut passed);
        let row = tx.record(uploaded)?;
        let file = File::new(object.id, about.clone());
        Ok(Answer::created(json!(file))
            .made(row)
            .location(&file.url)
            .headers(passed.headers()))
    }

    /// The verdict on a draft that names a file.
    fn attach(
        state: &State,
        draft: &Draft<'_>,
        tx: &Tx<'_>,
        file: &Value,
    ) -> Result<Verdict<Fact>, Problem> {
        let wrong = || invalid("file", "`file` must be a string, the id of a file");
        let id = file.as_str().ok_or_else(wrong)?;
        let id: Uuid = id.parse().map_err(|_| no_file())?;
        let row = tx.row_of::<Self>(id)?;
        let is_theirs = row
            .as_ref()
            .is_some_and(|row| row.author == Some(draft.from));
        // What is not there takes as long as what may not be seen: the look for a holder, too.
        let place = row.as_ref().map_or(0, |row| row.id);
        if !is_theirs && !tx.sees_holder(place, draft.from)? {
            return Err(no_file());
        }
        let row = row.ok_or_else(no_file)?;
        let verdict = Verdict::pass().says_enough();
        // To plan keeps nobody else's file from ending, nor its name.
        if draft.purpose == Purpose::PostLater && row.author != Some(draft.from) {
            let url = format!("/files/{id}");
            return Ok(verdict.shows("file", json!({"id": id, "url": url})));
        }
        let shown = json!(File::of(&row));
        let verdict = verdict.holds(row.id).shows("file", shown);
        Ok(if state.waiting.contains_key(&row.id) {
            verdict.rider(Fact::Held { row: row.id })
        } else {
            verdict
        })
    }

    async fn serve(ask: Ask<Self>, _: NoQuery) -> Result<Answer, Problem> {
        let id: Uuid = ask.call.param("id").parse().map_err(|_| no_file())?;
        let row = ask.row_of(id).await?;
        let user = ask.call.user;
        let is_theirs = row.as_ref().is_some_and(|row| row.author == Some(user));
        // As above.
        let place = row.as_ref().map_or(0, |row| row.id);
        if !is_theirs && !ask.sees_holder(place, user).await? {
            return Err(no_file());
        }
        let row = row.ok_or_else(no_file)?;
        let file = File::of(&row).ok_or_else(no_file)?;
        let etag = format!("\"{}\"", file.sha256);
        let answer = ask.serve(id, &etag, file.size).await?;
        Ok(answer
            .header("content-type", &file.kind)
            .header("content-disposition", &name::disposition(&file.name))
            .header("content-security-policy", "default-src 'none'; sandbox")
            .header("cross-origin-resource-policy", "same-origin")
            // Asked for again each time: it may be gone, or not theirs any more.
            .header("cache-control", "private, no-cache"))
    }
}

fn no_file() -> Problem {
    not_found("there is no such file")
}

/// The media type that is told (RFC 9110, section 8.3.1), if it is one. That of a plain HTML form
/// is what curl says of everything: nothing.
fn media_type(told: Option<&str>) -> String {
    let told = told.map(str::trim).unwrap_or_default();
    let essence = told.split(';').next().unwrap_or_default().trim();
    let is_token = |token: &str| {
        !token.is_empty()
            && token
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b))
    };
    let is_type = essence
        .split_once('/')
        .is_some_and(|(kind, sub)| is_token(kind) && is_token(sub));
    let is_plain = told.len() <= KIND && told.bytes().all(|b| matches!(b, b' '..=b'~'));
    if is_type && is_plain && !essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        told.to_owned()
    } else {
        UNKNOWN.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uploaded(state: &mut State, pos: Pos, by: u64, until: i64) {
        let stamp = Stamp {
            pos,
            by: Some(UserId(by)),
            ..Stamp::default()
        };
        let until = Time(until);
        Files::apply(state, Fact::Uploaded { until }, &stamp);
    }

    #[test]
    fn an_upload_waits_until_it_is_held_or_dropped() {
        let mut state = State::default();
        for (pos, by, until) in [(1, 7, 30), (2, 7, 10), (3, 8, 20)] {
            uploaded(&mut state, pos, by, until);
        }
        assert_eq!(state.by_end.first(), Some(&(Time(10), 2)));
        assert_eq!(state.by_user[&UserId(7)], 2);
        Files::apply(&mut state, Fact::Held { row: 2 }, &Stamp::default());
        // Another message may hold it, too.
        Files::apply(&mut state, Fact::Held { row: 2 }, &Stamp::default());
        assert_eq!(state.by_user[&UserId(7)], 1);
        let rows = vec![1, 3];
        Files::apply(&mut state, Fact::Dropped { rows }, &Stamp::default());
        assert!(state.waiting.is_empty() && state.by_end.is_empty() && state.by_user.is_empty());
    }

    #[test]
    fn a_media_type_is_kept_if_it_is_one() {
        for kept in ["image/png", "text/plain; charset=utf-8", "image/svg+xml"] {
            assert_eq!(media_type(Some(kept)), kept);
        }
        let long = format!("text/{}", "x".repeat(KIND));
        for unknown in [
            "",
            "image",
            "/png",
            "a b/c",
            "text/html\u{1}",
            "application/x-www-form-urlencoded",
            &long,
        ] {
            assert_eq!(media_type(Some(unknown)), UNKNOWN, "{unknown:?}");
        }
        assert_eq!(media_type(None), UNKNOWN);
    }
}
