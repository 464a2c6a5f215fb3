//! One client's connection, from its first line to its last.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use veche::prelude::*;

use super::Irc;
use super::caps::{Cap, Caps};
use super::channels::Channels;
use super::given::{Held, Lines};
use super::line::{Line, Out, Wrong};
use super::names::{nick, source};
use super::welcome::Introduction;
use super::wire::Wire;

/// What this server calls itself. It has a dot, as no nick has.
pub const SERVER: &str = "irc.veche";

/// A client is asked whether it has its messages no more often than this, so that many are asked for at
/// once.
const GATHER: Duration = Duration::from_secs(1);

/// How long a client may take for its last line.
const LAST: Duration = Duration::from_millis(500);

/// A client is seen at least so often, so that those whose server was killed can be told from it.
const SEEN: Duration = Duration::from_secs(600);

/// Ids of one's own posts that have not come back as events, of which more are not known to be one's own;
/// and of comments that were given before their events.
const OWN: usize = 4096;

/// Why a connection ends.
#[derive(Debug)]
pub enum End {
    /// The client is gone.
    Gone,
    /// It is told so first.
    Told(String),
}

/// A connection.
pub struct Link {
    pub irc: Arc<Irc>,
    pub site: Site<Irc>,
    pub inside: Inside,
    pub wire: Wire,
    pub caps: Caps,
    /// What the client has said of itself while it was let in.
    pub introduction: Introduction,
    /// The user's name; empty before it is known.
    pub me: String,
    pub channels: Channels,
    /// What this connection has posted, and was not told yet.
    own: BTreeSet<Id>,
    /// Comments that were given with their messages, and may come as events yet.
    remarks: BTreeSet<Id>,
    /// What was given of messages beyond one line.
    pub lines: Lines,
    /// Chats that stay unread.
    pub held: Held,
    /// How far each chat was shown, by its address.
    shown: HashMap<String, Id>,
    /// What answers a labelled command.
    labelled: Option<(String, Vec<Out>)>,
    /// What was sent, chat by chat, since the client was last asked whether it has it; and when another
    /// question may come.
    sent: HashMap<String, Id>,
    ask_from: Instant,
    /// What it was asked for, with the word that it is to answer.
    asked: Option<(String, HashMap<String, Id>)>,
    seen: Instant,
    batches: u64,
}

/// What comes next.
enum Next {
    Line(Result<Option<Line>, Wrong>),
    Event(Option<Happened>),
    Due,
}

/// Serves a connection.
pub async fn serve(irc: Arc<Irc>, site: Site<Irc>, guest: Guest) {
    let inside = site.inside(guest.address(), super::AGENT);
    let Ok(stream) = guest.enter().await else {
        return;
    };
    let wire = Wire::new(stream, irc.settings.timeout.to_std());
    let mut link = Link::new(irc, site, inside, wire);
    let stopping = link.site.clone();
    let end = tokio::select! {
        biased;
        () = stopping.stopping() => End::Told("the server stops".to_owned()),
        end = link.run() => end,
    };
    // A stop ends the events as well, and they may have been heard first.
    let end = tokio::select! {
        biased;
        () = stopping.stopping() => End::Told("the server stops".to_owned()),
        () = std::future::ready(()) => end,
    };
    link.farewell(end).await;
}

impl Link {
    fn new(irc: Arc<Irc>, site: Site<Irc>, inside: Inside, wire: Wire) -> Self {
        let now = Instant::now();
        Self {
            irc,
            site,
            inside,
            wire,
            caps: Caps::default(),
            introduction: Introduction::default(),
            me: String::new(),
            channels: Channels::default(),
            own: BTreeSet::new(),
            remarks: BTreeSet::new(),
            lines: Lines::default(),
            held: Held::default(),
            shown: HashMap::new(),
            labelled: None,
            sent: HashMap::new(),
            ask_from: now,
            asked: None,
            seen: now,
            batches: 0,
        }
    }

    async fn run(&mut self) -> End {
        let ended = async {
            let mut events = self.welcome().await?;
            self.live(&mut events).await
        };
        ended.await.err().unwrap_or(End::Gone)
    }

    /// Goes on until the connection ends: an `Err` each time.
    async fn live(&mut self, events: &mut Events) -> Result<(), End> {
        loop {
            self.flush().await?;
            let due = self.due();
            let next = tokio::select! {
                line = self.wire.next() => Next::Line(line),
                event = events.next() => Next::Event(event),
                () = sleep_until(due) => Next::Due,
            };
            match next {
                Next::Line(Ok(Some(line))) => self.obey(line).await?,
                Next::Line(Ok(None)) => return Err(End::Gone),
                Next::Line(Err(wrong)) => self.misread(&wrong),
                Next::Event(Some(happened)) => self.happened(&happened).await?,
                Next::Event(None) => return Err(End::Told("signed out".to_owned())),
                Next::Due => self.check().await?,
            }
        }
    }

    /// When there is something to do without a line or an event.
    fn due(&self) -> Instant {
        let patience = self.irc.settings.timeout.to_std();
        let silent = match self.asked {
            // It has an answer to give.
            Some(_) => self.wire.heard + patience * 2,
            None => self.wire.heard + patience,
        };
        let gathered = (!self.sent.is_empty() && self.asked.is_none()).then_some(self.ask_from);
        [Some(silent), gathered, Some(self.seen + SEEN)]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(silent)
    }

    async fn check(&mut self) -> Result<(), End> {
        let (now, patience) = (Instant::now(), self.irc.settings.timeout.to_std());
        if now >= self.seen + SEEN {
            self.seen = now;
            self.inside.get("/unread?limit=1").await;
        }
        if self.asked.is_some() {
            if now >= self.wire.heard + patience * 2 {
                return Err(End::Told("no answer to PING".to_owned()));
            }
        } else if !self.sent.is_empty() || now >= self.wire.heard + patience {
            self.ask_from = now + GATHER;
            self.batches += 1;
            let word = format!("veche-{}", self.batches);
            self.send(Out::new("", "PING").text(&word));
            self.asked = Some((word, std::mem::take(&mut self.sent)));
        }
        Ok(())
    }

    /// The client has all that it was sent before it was asked: so it has read it.
    pub async fn pong(&mut self, line: &Line) {
        let Some((word, read)) = self.asked.take() else {
            return;
        };
        if !line.params.contains(&word) {
            self.asked = Some((word, read));
            return;
        }
        for (chat, upto) in read {
            self.inside
                .post("/read", &json!({"chat": chat, "upto": upto}))
                .await;
        }
    }

    /// Notes that a message of another's goes to the client.
    pub fn reads(&mut self, chat: &str, id: Id) {
        if !self.held.note(chat, id) {
            self.sent.insert(chat.to_owned(), id);
        }
    }

    /// Whether a message is new to the client; from now on it is not.
    pub fn is_new(&mut self, chat: &str, id: Id) -> bool {
        let shown = self.shown.entry(chat.to_owned()).or_default();
        let is_new = id > *shown;
        *shown = id.max(*shown);
        is_new
    }

    /// Notes a post of this connection's own.
    pub fn posted(&mut self, id: Id) {
        if self.own.len() < OWN {
            self.own.insert(id);
        }
    }

    /// Whether this connection has posted it; it comes back once.
    pub fn is_own(&mut self, id: Id) -> bool {
        self.own.remove(&id)
    }

    /// Notes a comment that was given with its message.
    pub fn gave_comment(&mut self, id: Id) {
        self.remarks.insert(id);
        // The oldest have come before, if they were to.
        if self.remarks.len() > OWN {
            self.remarks.pop_first();
        }
    }

    /// Whether a comment was given with its message; its event comes once.
    pub fn was_given(&mut self, id: Id) -> bool {
        self.remarks.remove(&id)
    }

    /// Puts a line before the client.
    pub fn send(&mut self, out: Out) {
        match &mut self.labelled {
            Some((_, lines)) => lines.push(out),
            None => self.wire.push(&out, self.caps),
        }
    }

    /// A numeric to the client, with words and a text.
    pub fn numeric(&mut self, number: &'static str, words: &[&str], text: &str) {
        let out = self.reply(number, words).text(text);
        self.send(out);
    }

    /// The beginning of a numeric to the client.
    pub fn reply(&self, number: &'static str, words: &[&str]) -> Out {
        let to = match self.me.as_str() {
            "" => "*".to_owned(),
            me => nick(me),
        };
        let out = Out::new(SERVER, number).word(&to);
        words.iter().fold(out, |out, word| out.word(word))
    }

    /// A sentence of the server's.
    pub fn notice(&mut self, text: &str) {
        let out = self.reply("NOTICE", &[]).text(text);
        self.send(out);
    }

    /// The user as the source of a line.
    pub fn source(&self) -> String {
        source(&self.me)
    }

    /// A name for a batch, which no other of this connection has.
    pub fn batch(&mut self) -> String {
        self.batches += 1;
        format!("b{}", self.batches)
    }

    /// Writes what waits.
    pub async fn flush(&mut self) -> Result<(), End> {
        self.wire.flush().await.map_err(|_| End::Gone)
    }

    /// Writes what waits, if that is much.
    pub async fn relieve(&mut self) -> Result<(), End> {
        match self.wire.has_much() {
            true => self.flush().await,
            false => Ok(()),
        }
    }

    /// What comes until [`end_label`](Self::end_label) answers a command with a label.
    pub fn begin_label(&mut self, line: &Line) {
        if self.caps.has(Cap::LabeledResponse)
            && let Some(label) = line.tag("label").filter(|label| label.len() <= 64)
        {
            self.labelled = Some((label.to_owned(), Vec::new()));
        }
    }

    /// Sends what has answered a command with a label: nothing as `ACK`, one line as it is, more as a batch.
    pub fn end_label(&mut self) {
        let Some((label, mut lines)) = self.labelled.take() else {
            return;
        };
        if lines.is_empty() {
            lines.push(Out::new(SERVER, "ACK"));
        }
        if lines.len() > 1 && !Out::is_one_batch(&lines) && self.caps.has(Cap::Batch) {
            let batch = self.batch();
            for line in &mut lines {
                line.put_into(&batch);
            }
            let begin = Out::new(SERVER, "BATCH").word(&format!("+{batch}"));
            lines.insert(0, begin.word("labeled-response"));
            lines.push(Out::new(SERVER, "BATCH").word(&format!("-{batch}")));
        }
        let first = lines.remove(0).tag("label", label);
        self.send(first);
        lines.into_iter().for_each(|line| self.send(line));
    }

    /// Says that a line can't be read.
    pub fn misread(&mut self, wrong: &Wrong) {
        match wrong {
            Wrong::Long => self.numeric("417", &[], "The line is too long"),
            Wrong::NotText => {
                let out = Out::new(SERVER, "FAIL").word("*").word("INVALID_UTF8");
                self.send(out.text("The line is not in UTF-8"));
            }
        }
    }

    /// Says the last word, and signs the client out.
    async fn farewell(mut self, end: End) {
        if let End::Told(why) = end {
            self.labelled = None;
            let address = if self.me.is_empty() {
                "*".to_owned()
            } else {
                nick(&self.me)
            };
            self.send(Out::new("", "ERROR").text(&format!("Closing Link: {address} ({why})")));
        }
        let signing_out = async {
            if !self.me.is_empty() {
                self.inside.post("/disconnect", &json!({})).await;
            }
        };
        tokio::join!(self.wire.close(LAST), signing_out);
    }
}
