//! What people see of their chats from outside, the last message and how much is unread, as the
//! store had it when they last asked: somebody in a thousand chats asks it of those alone in which
//! something has happened since.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::tails::{Stamp, size};
use crate::log::{ChatId, Id, MessageRow, UserId};

/// How much all of them hold at most, in bytes.
const BYTES: usize = 8 * 1024 * 1024;

/// What somebody sees of one of their chats.
#[derive(Clone)]
pub(crate) struct Glimpse {
    pub(crate) chat: ChatId,
    pub(crate) stamp: Stamp,
    /// How far they have read it.
    pub(crate) mark: Id,
    pub(crate) unread: u64,
    pub(crate) last: Option<Arc<MessageRow>>,
}

/// Those of the users who asked last.
#[derive(Default)]
pub(crate) struct Glimpses(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    users: HashMap<UserId, Own>,
    bytes: usize,
    /// How often any was used.
    uses: u64,
}

struct Own {
    /// In order of their chats.
    glimpses: Arc<[Glimpse]>,
    bytes: usize,
    used: u64,
}

impl Glimpses {
    /// What is kept of a user, in order of the chats.
    pub(crate) fn get(&self, user: UserId) -> Arc<[Glimpse]> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.uses += 1;
        let used = kept.uses;
        let Some(own) = kept.users.get_mut(&user) else {
            return Arc::default();
        };
        own.used = used;
        Arc::clone(&own.glimpses)
    }

    /// Keeps what a user sees, in order of the chats, instead of what was kept of them.
    pub(crate) fn put(&self, user: UserId, glimpses: Arc<[Glimpse]>) {
        let bytes = glimpses.iter().map(held).sum();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.remove(user);
        if bytes > BYTES {
            return;
        }
        while kept.bytes + bytes > BYTES {
            let oldest = kept.users.iter().min_by_key(|(_, own)| own.used);
            let Some(oldest) = oldest.map(|(user, _)| *user) else {
                break;
            };
            kept.remove(oldest);
        }
        kept.uses += 1;
        kept.bytes += bytes;
        let used = kept.uses;
        let own = Own {
            glimpses,
            bytes,
            used,
        };
        kept.users.insert(user, own);
    }
}

impl Kept {
    fn remove(&mut self, user: UserId) {
        if let Some(own) = self.users.remove(&user) {
            self.bytes -= own.bytes;
        }
    }
}

/// How many bytes a glimpse holds.
fn held(glimpse: &Glimpse) -> usize {
    let row = glimpse.last.as_deref();
    size_of::<Glimpse>() + row.map_or(0, |row| size_of::<MessageRow>() + size(row))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glimpses(count: usize) -> Arc<[Glimpse]> {
        let glimpse = Glimpse {
            chat: ChatId::COMMON,
            stamp: Stamp::default(),
            mark: 0,
            unread: 1,
            last: None,
        };
        vec![glimpse; count].into()
    }

    #[test]
    fn what_is_kept_of_a_user_is_what_was_put_last() {
        let kept = Glimpses::default();
        assert!(kept.get(UserId(1)).is_empty());
        kept.put(UserId(1), glimpses(3));
        kept.put(UserId(1), glimpses(2));
        assert_eq!(kept.get(UserId(1)).len(), 2);
        let bytes = kept.0.lock().expect("no panic").bytes;
        assert_eq!(bytes, 2 * size_of::<Glimpse>());
    }

    #[test]
    fn those_who_asked_the_longest_ago_make_room() {
        let kept = Glimpses::default();
        let half = BYTES / size_of::<Glimpse>() / 2;
        kept.put(UserId(1), glimpses(half));
        kept.put(UserId(2), glimpses(half));
        assert_eq!(kept.get(UserId(1)).len(), half);
        kept.put(UserId(3), glimpses(half));
        assert_eq!(kept.get(UserId(1)).len(), half);
        assert!(kept.get(UserId(2)).is_empty());
        assert_eq!(kept.get(UserId(3)).len(), half);
        assert!(kept.0.lock().expect("no panic").bytes <= BYTES);
    }

    #[test]
    fn what_would_fill_it_alone_is_not_kept_and_takes_nobody_elses_place() {
        let kept = Glimpses::default();
        kept.put(UserId(1), glimpses(1));
        kept.put(UserId(2), glimpses(BYTES / size_of::<Glimpse>() + 1));
        assert!(kept.get(UserId(2)).is_empty());
        assert_eq!(kept.get(UserId(1)).len(), 1);
    }
}
