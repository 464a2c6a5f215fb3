//! What every user sees, and what lies on the disk.

use std::collections::BTreeSet;

use uuid::Uuid;
use veche::testing::wait_until;

use super::{Done, Driver};
use crate::model::HOUR;
use crate::model::call::{Call, Page};

impl Driver {
    /// Looks at all; once more after a restart that knows all that was done from a snapshot alone,
    /// and when all that waits for its time has had it.
    pub(super) fn end_all(&mut self) -> Done {
        self.look_at_all()?;
        self.connect("clerk", None, Some(0))?;
        let before = self.server.log().len();
        self.restart(false, 0)?;
        wait_until("a snapshot of what was done before the start", || {
            let log = self.server.log();
            log[before..].contains("saved a snapshot").then_some(())
        });
        self.restart(true, 0)?;
        self.look_at_all()?;
        self.set_clock(3 * HOUR);
        self.catch_up()?;
        self.look_at_all()?;
        self.end(false)
    }

    /// What every user sees, by one of their clients, and what each client was told.
    pub(super) fn look_at_all(&mut self) -> Done {
        let mut looked = Vec::new();
        for client in 0..self.clients.len() {
            if !self.is_live(client) {
                continue;
            }
            self.poll(client)?;
            let user = self.clients[client].user;
            if looked.contains(&user) {
                continue;
            }
            looked.push(user);
            let chats = self.model.chats_of(user).into_iter();
            let chats = chats.map(|chat| Call::Messages {
                chat: self.model.address_for(chat, user),
                page: Page::After(0),
                limit: 200,
            });
            let views = [
                Call::Status,
                Call::Unread { limit: 200 },
                Call::Mentions {
                    before: None,
                    limit: 200,
                },
                Call::Users {
                    after: None,
                    limit: 200,
                },
                Call::Scheduled,
                Call::Rooms,
            ];
            let calls: Vec<Call> = views.into_iter().chain(chats).collect();
            for call in calls {
                self.look(client, call)?;
            }
            for id in self.model.commented(user) {
                let (after, limit) = (0, 200);
                self.look(client, Call::Message { id })?;
                self.look(client, Call::Comments { id, after, limit })?;
            }
            for id in self.model.reacted(user) {
                let (emoji, after, limit) = (None, 0, 200);
                self.look(client, Call::Message { id })?;
                let who = Call::Reactions {
                    id,
                    emoji,
                    after,
                    limit,
                };
                self.look(client, who)?;
            }
        }
        self.look_at_the_disk();
        Ok(())
    }

    pub(super) fn look(&mut self, client: usize, call: Call) -> Done {
        if call.feature().is_none_or(|feature| self.model.has(feature)) {
            self.call(client, &call, None, false)?;
        }
        Ok(())
    }

    /// The files that lie on the disk are those that there are, once the server has got to it.
    pub(super) fn look_at_the_disk(&self) {
        let ids = self.model.files.iter().map(|file| file.id.clone());
        let wanted: BTreeSet<String> = ids.collect();
        wait_until("the files on the disk to be those of the model", || {
            let entries = std::fs::read_dir(self.server.data().join("files"));
            let names = entries
                .into_iter()
                .flatten()
                .flatten()
                .map(|entry| entry.file_name());
            let names = names.map(|name| name.to_string_lossy().into_owned());
            let files: BTreeSet<String> =
                names.filter(|name| name.parse::<Uuid>().is_ok()).collect();
            (files == wanted).then_some(())
        });
    }
}
