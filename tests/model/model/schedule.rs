//! Messages that are sent later.

use serde_json::{Value, json};

use super::answer::{Answer, Made, Outcome, Refusal};
use super::call::When;
use super::posts::{Purpose, To};
use super::{
    DAY, HORIZON, MAX_LATE, Model, Moment, Ms, PENDING, SECOND, Told, UserIx, seconds, time,
};

/// How long what was sent or failed is listed, and how many of them at most.
const SHOWN: Ms = 7 * DAY;
const MOST_SHOWN: usize = 10 * PENDING;

pub struct Item {
    pub id: String,
    /// Its place among all.
    number: Moment,
    by: UserIx,
    to: String,
    text: String,
    file: Option<String>,
    /// The file as it was when this was made.
    shown: Option<Value>,
    /// Whether the file is its user's own, and kept for it.
    keeps: bool,
    at: Ms,
    /// The message that it became.
    pub message: Option<Moment>,
    failed: Option<&'static str>,
    /// When it is forgotten; none while it waits.
    until: Option<Ms>,
}

impl Item {
    /// When something is to be done with it.
    pub fn due(&self) -> Ms {
        self.until.unwrap_or(self.at)
    }

    pub fn is_waiting(&self) -> bool {
        self.until.is_none()
    }

    /// The file that is kept for it while it waits.
    pub fn held(&self) -> Option<&String> {
        self.file
            .as_ref()
            .filter(|_| self.keeps && self.until.is_none())
    }

    fn order(&self) -> (bool, Ms, Moment) {
        (self.until.is_some(), self.due(), self.number)
    }
}

impl Model {
    pub fn schedule(
        &mut self,
        by: UserIx,
        to: &str,
        text: &str,
        file: Option<&str>,
        when: When,
        seen: &Value,
    ) -> Outcome {
        let to = self.address(by, "to", to)?;
        let (field, at) = match when {
            When::At(at) => ("at", at),
            When::In(delay) => ("in", self.now + delay as Ms * SECOND),
            When::Both => return Err(Refusal::invalid("in")),
            When::Neither => return Err(Refusal::invalid("at")),
        };
        if at < self.now || at > self.now + HORIZON {
            return Err(Refusal::invalid(field));
        }
        self.check(by, to, Purpose::Later, text, file)?;
        let own = self
            .scheduled
            .iter()
            .filter(|item| item.by == by && item.until.is_none());
        if own.clone().count() >= PENDING {
            let next = own.map(|item| item.at).min().unwrap_or(self.now);
            let refusal = Refusal::new(429, "too_many_scheduled");
            return Err(refusal.retry(seconds(self.now, next).max(1)));
        }
        let to = match to {
            To::Chat(chat) => self.spell(chat, None),
            To::User(peer) => format!("@{}", self.users[peer].name),
        };
        let id = seen["id"].as_str().unwrap_or_default().to_owned();
        let number = self.moment(None);
        let item = Item {
            id: id.clone(),
            number,
            by,
            to,
            text: text.to_owned(),
            file: file.map(str::to_owned),
            shown: file.and_then(|id| match self.is_own_file(by, id) {
                true => self.shown_file(id),
                false => Some(json!({"id": id, "url": format!("/files/{id}")})),
            }),
            keeps: file.is_some_and(|id| self.is_own_file(by, id)),
            at,
            message: None,
            failed: None,
            until: None,
        };
        if let Some(file) = item.held() {
            self.hold(file);
        }
        let body = self.shown_item(&item, true);
        self.scheduled.push(item);
        self.tell(
            vec![by],
            Told::Scheduled(id.clone(), "scheduled", body.clone()),
        );
        let made = Some(Made::Scheduled(id));
        Ok(Answer {
            status: 201,
            body,
            headers: Vec::new(),
            made,
        })
    }

    fn shown_item(&self, item: &Item, with_text: bool) -> Value {
        let state = match (item.message, item.failed) {
            (Some(_), _) => "sent",
            (None, Some(_)) => "failed",
            (None, None) => "waiting",
        };
        let mut shown = json!({"id": item.id, "to": item.to, "at": time(item.at), "state": state});
        if with_text {
            let message = item.message.and_then(|moment| self.messages.get(&moment));
            shown["text"] = json!(message.map_or(&item.text, |message| &message.text));
        }
        if let (Some(file), true) = (&item.shown, item.is_waiting()) {
            shown["file"] = file.clone();
        }
        if let Some(message) = item.message {
            shown["message"] = self.id(message);
        }
        if let Some(reason) = item.failed {
            shown["reason"] = json!(reason);
            shown["detail"] = json!({"?any": true});
        }
        shown
    }

    pub fn list_scheduled(&self, by: UserIx) -> Answer {
        let mut own: Vec<&Item> = self.scheduled.iter().filter(|item| item.by == by).collect();
        own.sort_by_key(|item| item.order());
        let shown = own.into_iter().map(|item| {
            // A sent one's text is its message's, for as long as its sender sees that.
            let has_text = item.message.is_none_or(|message| self.sees(by, message));
            self.shown_item(item, has_text)
        });
        Answer::ok(json!({"scheduled": shown.collect::<Vec<_>>()}))
    }

    pub fn scheduled_by(&self, user: UserIx) -> Vec<String> {
        let own = self.scheduled.iter().filter(|item| item.by == user);
        own.map(|item| item.id.clone()).collect()
    }

    pub fn waiting(&self, user: UserIx) -> Value {
        let own = self
            .scheduled
            .iter()
            .filter(|item| item.by == user && item.until.is_none());
        let next = own.clone().map(|item| item.at).min();
        json!({"waiting": own.count(), "next": next.map(time)})
    }

    pub fn cancel(&mut self, by: UserIx, id: &str) -> Outcome {
        let found = self
            .scheduled
            .iter()
            .position(|item| item.by == by && item.id == id);
        let found = found.ok_or_else(Refusal::not_found)?;
        if let Some(message) = self.scheduled[found].message {
            return Err(Refusal::new(409, "already_sent").with("message", self.id(message)));
        }
        self.scheduled.remove(found);
        self.tell(vec![by], Told::Plain("cancelled", json!({"id": id})));
        Ok(Answer::none())
    }

    /// Sends what is due, in order of due time and of making; forgets what was listed for long.
    pub fn send_due(&mut self) {
        while let Some(number) = self.next_due(false) {
            self.send_one(number);
        }
        while let Some(number) = self.next_due(true) {
            self.forget(number);
        }
    }

    /// The first that is due of those that wait, or of those that are done.
    fn next_due(&self, done: bool) -> Option<Moment> {
        let items = self
            .scheduled
            .iter()
            .filter(|item| item.until.is_some() == done);
        let first = items.min_by_key(|item| item.order())?;
        (first.due() <= self.now).then_some(first.number)
    }

    fn send_one(&mut self, number: Moment) {
        let Some(place) = self.scheduled.iter().position(|item| item.number == number) else {
            return;
        };
        let Item {
            by,
            to,
            text,
            file,
            at,
            ..
        } = &self.scheduled[place];
        let (by, to, text, at, file) = (*by, to.clone(), text.clone(), *at, file.clone());
        let judged = if self.up_since - at > MAX_LATE {
            Err("too_late")
        } else {
            let passed = self.address(by, "to", &to).and_then(|to| {
                self.check(by, to, Purpose::Now, &text, file.as_deref())?;
                Ok(to)
            });
            passed.map_err(|refusal| refusal.code)
        };
        let kind = match judged {
            Ok(to) => {
                // Its id is learnt where it is first seen.
                let message = self.post(by, to, &text, file.as_deref(), None);
                self.scheduled[place].message = Some(message);
                "scheduled_sent"
            }
            Err(code) => {
                self.scheduled[place].failed = Some(code);
                "scheduled_failed"
            }
        };
        self.scheduled[place].until = Some(self.now + SHOWN);
        let item = &self.scheduled[place];
        let told = match item.message {
            Some(_) => Told::Plain(kind, self.shown_item(item, false)),
            None => Told::Scheduled(item.id.clone(), kind, self.shown_item(item, true)),
        };
        self.tell(vec![by], told);
        let own = self
            .scheduled
            .iter()
            .filter(|item| item.by == by && item.until.is_some() && item.number != number);
        if own.clone().count() >= MOST_SHOWN
            && let Some(oldest) = own.min_by_key(|item| item.order())
        {
            self.forget(oldest.number);
        }
    }

    fn forget(&mut self, number: Moment) {
        let Some(place) = self.scheduled.iter().position(|item| item.number == number) else {
            return;
        };
        let Item { id, by, .. } = self.scheduled.remove(place);
        self.tell(
            vec![by],
            Told::Plain("scheduled_forgotten", json!({"id": id})),
        );
    }
}
