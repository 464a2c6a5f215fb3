//! What is typed behind a command that leads to another chat. It is held until it is known where
//! that is, and goes there then; where it led nowhere, it goes to no chat, and nor do plain lines
//! until their writer says where to.

use std::sync::PoisonError;
use std::sync::mpsc::sync_channel;

use super::super::Error;
use super::super::commands::{Command, Wait, parse};
use super::super::here::COMMON;
use super::super::post::Post;
use super::super::text::safe_line;
use super::super::worker::{Ended, Job};
use super::model::Model;
use super::outgoing::Stage;
use super::{News, Screen, spawn};

/// The most lines that are held behind one command.
const MAX: usize = 100;

/// A command that leads to another chat.
#[derive(Debug)]
pub struct Move {
    /// What tells it from others that are under way.
    id: u64,
    /// The chat that it was typed in.
    pub from: String,
    /// The chat that it names by its address.
    pub to: Option<String>,
    /// How it was typed.
    pub line: String,
    /// The lines behind it.
    pub held: Vec<String>,
    /// Whether it led nowhere.
    pub failed: bool,
}

impl Model {
    /// The command behind which stands what is typed in the chat that is shown.
    pub fn moving(&self) -> Option<&Move> {
        let here = &self.chat().address;
        self.moves.iter().find(|going| going.from == *here)
    }

    /// Notes that such a command is under way.
    fn begin_move(&mut self, from: &str, to: Option<&str>, line: &str) -> u64 {
        self.moves
            .retain(|going| !going.failed || going.from != from);
        let last = self.moves.iter().map(|going| going.id).max();
        let id = last.unwrap_or(0) + 1;
        self.moves.push(Move {
            id,
            from: from.to_owned(),
            to: to.map(str::to_owned),
            line: line.to_owned(),
            held: Vec::new(),
            failed: false,
        });
        id
    }

    /// Lines that are typed in that chat go nowhere, since this command led to no chat.
    pub fn lead_nowhere(&mut self, from: &str, line: &str) {
        let id = self.begin_move(from, None, line);
        let begun = self.moves.iter_mut().find(|going| going.id == id);
        if let Some(going) = begun {
            going.failed = true;
        }
    }

    /// Plain lines go to the chat that is shown, whatever led nowhere before; false where they did.
    pub fn lines_go_here(&mut self) -> bool {
        let here = self.chats[self.at].address.clone();
        let before = self.moves.len();
        self.moves
            .retain(|going| !going.failed || going.from != here);
        self.moves.len() < before
    }

    /// Takes back the line that was typed last behind a command.
    pub fn unhold(&mut self) -> Option<String> {
        let here = &self.chats[self.at].address;
        let mut moves = self.moves.iter_mut();
        moves.find(|going| going.from == *here)?.held.pop()
    }
}

impl Screen {
    /// Does what a line typed in that chat says, when it is its turn.
    pub fn typed(&mut self, line: &str, chat: &str) {
        let mut moves = self.model.moves.iter_mut();
        let here = match moves.find(|going| going.from == *chat) {
            None => Some(chat.to_owned()),
            Some(going) if going.failed => None,
            Some(going) if going.held.len() < MAX => {
                going.held.push(line.to_owned());
                return;
            }
            Some(_) => {
                self.put_back(chat, line);
                let why = "too many lines wait to be sent".to_owned();
                return self.model.note(why, true);
            }
        };
        if here.is_none() && self.is_text(line) {
            // What follows stands in a row of its own.
            self.put_back(chat, &format!("{line}\n"));
            if !line.contains('\n') {
                self.tell_nowhere(chat, "not sent: ");
            }
            return;
        }
        self.submit_in(line, chat, here);
    }

    fn is_text(&self, line: &str) -> bool {
        let command = parse(line, |feature| self.session.has_feature(feature));
        matches!(command, Ok(Some(Command::Say(_))))
    }

    /// Puts what was not sent back into the line of that chat, before what is there.
    fn put_back(&mut self, chat: &str, text: &str) {
        if self.model.chat().address == chat {
            return self.take_back(text);
        }
        self.unsaved = true;
        match self.model.find(chat) {
            Some(at) => {
                let draft = &mut self.model.chats[at].draft;
                let gap = if draft.is_empty() { "" } else { "\n" };
                *draft = format!("{text}{gap}{draft}");
            }
            None => self.input.remember(text),
        }
    }

    /// Tells that what is typed in a chat goes to none, behind why that is so.
    pub fn tell_nowhere(&mut self, chat: &str, what: &str) {
        let label = self.session.label(chat);
        let text =
            format!("{what}lines go nowhere now: Esc lets them go to {label}, /to elsewhere");
        self.model.note_in(chat, text);
    }

    /// Does a command whose end is told, beside what else is done.
    pub fn wait(&mut self, line: &str, command: Command, from: &str, here: Option<String>) {
        let (is_transfer, leaves) = (command.wait() == Wait::Transfer, command.leaves());
        if is_transfer {
            if let Err(error) = self.run_apart(command, here, |_| None) {
                self.model.note(error.explain(), true);
            }
            return;
        }
        if leaves {
            // What was typed before it is still for that chat.
            let rest = self.model.rest(Some(from));
            self.send(rest);
        }
        let id = self.model.begin_move(from, command.goes_to(), line);
        let moved = move |end| {
            let end = match end {
                Ended::Here if leaves => Ended::At(COMMON.to_owned()),
                end => end,
            };
            Some(News::Moved(id, end))
        };
        if let Err(error) = self.run_apart(command, here, moved) {
            self.model.note(error.explain(), true);
            self.moved(id, Ended::Failed);
        }
    }

    /// Uploads a file and sends it.
    pub fn send_file(&mut self, post: Post) {
        let command = parse(&post.line(), |feature| self.session.has_feature(feature));
        let here = post.to().map(str::to_owned);
        let filed = post.clone();
        let begun = match command {
            Ok(Some(command)) => {
                let told = move |end| Some(News::Filed(filed, end));
                self.run_apart(command, here, told)
                    .map_err(|error| error.explain())
            }
            Ok(None) => Ok(()),
            Err(why) => Err(why),
        };
        if let Err(why) = begun {
            self.stage(&post, Stage::Failed(why));
        }
    }

    /// Does a command on a thread that waits for its end; `told` is what the screen hears of that.
    fn run_apart(
        &self,
        command: Command,
        here: Option<String>,
        told: impl FnOnce(Ended) -> Option<News> + Send + 'static,
    ) -> Result<(), Error> {
        let (session, jobs, news) = (self.session.clone(), self.jobs.clone(), self.news.clone());
        let transfer = self.transfer.clone();
        let is_transfer = command.wait() == Wait::Transfer;
        spawn("command", move || {
            let (ended, end) = sync_channel(1);
            let one = is_transfer.then(|| transfer.lock().unwrap_or_else(PoisonError::into_inner));
            let waiting = is_transfer.then(|| session.transfers.wait());
            if jobs.send(Job::Await(command, here, ended)).is_err() {
                return;
            }
            let end = end.recv().unwrap_or(Ended::Failed);
            drop(waiting);
            drop(one);
            if let Some(told) = told(end) {
                // A screen that has closed shows nothing more.
                let _ = news.send(told);
            }
        })
    }

    /// Lets go what was typed behind a command that has ended.
    pub fn moved(&mut self, id: u64, ended: Ended) {
        let is_it = |going: &Move| going.id == id && !going.failed;
        let Some(at) = self.model.moves.iter().position(is_it) else {
            return;
        };
        let mut going = self.model.moves.remove(at);
        self.unsaved = true;
        let Ended::At(chat) = ended else {
            return self.led_nowhere(going);
        };
        let at = self.model.place(&chat, &self.session.label(&chat));
        let chat = self.model.chats[at].address.clone();
        if self.model.chat().address == going.from && at != self.model.at {
            // What was begun behind the command goes along, below what was begun there before.
            self.model.open(at);
            let draft = std::mem::take(&mut self.model.chat_mut().draft);
            if !draft.is_empty() {
                self.take_back(&draft);
            }
        }
        for line in going.held.drain(..) {
            match self.over {
                true => self.put_back(&chat, &line),
                false => self.typed(&line, &chat),
            }
        }
    }

    fn led_nowhere(&mut self, mut going: Move) {
        let held = std::mem::take(&mut going.held);
        let (texts, commands): (Vec<_>, Vec<_>) =
            held.into_iter().partition(|line| self.is_text(line));
        let mut what = format!("{} leads to no chat: ", safe_line(&going.line));
        if !commands.is_empty() {
            what.push_str(&format!("{} was not done either, ", commands.join(", ")));
        }
        if !texts.is_empty() {
            self.put_back(&going.from, &format!("{}\n", texts.join("\n")));
            what.push_str("what you typed behind it is not sent, and stands in the line; ");
        }
        let from = going.from.clone();
        going.failed = true;
        self.model.moves.push(going);
        self.tell_nowhere(&from, &what);
    }

    /// Plain lines go to the chat that is shown, as its user says; false where they did before.
    pub fn stay(&mut self) -> bool {
        let stays = self.model.lines_go_here();
        if stays && let Some(text) = self.input.text().strip_suffix('\n') {
            self.input.set(text);
        }
        stays
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stand_behind_the_command_of_their_own_chat() {
        let mut model = Model::new("ann", true);
        model.place("@bob", "@bob");
        let id = model.begin_move("common", Some("@carol"), "/to @carol");
        assert_ne!(id, model.begin_move("@bob", None, "/room Attic"));
        assert_eq!(model.moving().map(|going| &*going.line), Some("/to @carol"));
        assert!(!model.lines_go_here(), "it is under way");
        model.moves[0].held = vec!["one".to_owned(), "two".to_owned()];
        assert_eq!(model.unhold().as_deref(), Some("two"));
        // Whoever goes to another chat by a key says where lines go.
        model.moves[0].failed = true;
        model.open(1);
        assert_eq!(model.moves.len(), 1);
        assert_eq!(
            model.moving().map(|going| &*going.line),
            Some("/room Attic")
        );
    }
}
