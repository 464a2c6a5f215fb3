//! What Tab offers for the argument of a command: only what the command can be about.

use super::commands::{COMMON as EMOJI, Takes, typed_hook};
use super::here::COMMON;
use super::known::Line;
use super::naming;
use super::session::Session;
use super::state::State;
use super::text::safe_line;

/// How a hook's maker is named as where it posts.
const ME: &str = "@me";
/// The most that is offered at once.
const MAX: usize = 30;

/// What may stand there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// What it is, for people.
    pub shown: String,
    /// What is typed.
    pub typed: String,
}

impl Offer {
    /// One that is what it looks like.
    pub fn plain(word: String) -> Offer {
        Offer {
            shown: safe_line(&word),
            typed: word,
        }
    }

    fn about(typed: String, about: &str) -> Offer {
        Offer {
            shown: format!("{typed} {about}"),
            typed,
        }
    }
}

impl Session {
    /// What begins so and can be what a command takes, for who is in the chat that plain lines go
    /// to.
    pub fn offers(&self, takes: Takes, beginning: &str) -> Vec<Offer> {
        let here = self.here.get();
        offers(&self.state(), takes, beginning, here.as_deref())
    }
}

fn offers(state: &State, takes: Takes, beginning: &str, here: Option<&str>) -> Vec<Offer> {
    let known = &state.known;
    let lower = beginning.to_lowercase();
    let begins = |word: &str| word.to_lowercase().starts_with(&lower);
    let room = here.and_then(|here| known.room(here));
    let others = |names: &[String]| -> Vec<Offer> {
        let fits = |name: &&String| begins(name) && **name != state.me;
        let names = names.iter().filter(fits);
        names.cloned().map(Offer::plain).collect()
    };
    // Nobody writes to a program.
    let is_person = |name: &&String| !known.is_bot(name);
    let mut offered = match takes {
        Takes::Text | Takes::Path | Takes::Url => Vec::new(),
        Takes::Name => {
            let names: Vec<String> = state.names.iter().cloned().collect();
            others(&names)
        }
        Takes::Recipient => {
            let names: Vec<String> = state.names.iter().filter(is_person).cloned().collect();
            others(&names)
        }
        Takes::Outsider => {
            let inside = |name: &String| {
                room.is_some_and(|room| room.members.contains(name) || room.invited.contains(name))
            };
            let names = state.names.iter().filter(is_person);
            let names = names.filter(|name| !inside(name));
            others(&names.cloned().collect::<Vec<_>>())
        }
        Takes::Member => others(room.map_or(&[][..], |room| &room.members[..])),
        Takes::Invited => others(room.map_or(&[][..], |room| &room.invited[..])),
        Takes::Requester => {
            let asking = known.requests().into_iter().map(|(_, _, name)| name);
            let mut asking: Vec<String> = asking.collect();
            asking.sort_unstable();
            asking.dedup();
            others(&asking)
        }
        Takes::Chat => {
            let mut chats = titles(state.titles.iter(), &begins);
            if COMMON.starts_with(beginning) {
                chats.insert(0, COMMON.to_owned());
            }
            if beginning.is_empty() {
                let others = state.names.iter().filter(is_person);
                let others = others.filter(|name| **name != state.me);
                chats.extend(others.map(|name| format!("@{name}")));
            }
            chats.into_iter().map(Offer::plain).collect()
        }
        Takes::Invite => {
            let invites = known.invites.iter().map(|(room, title)| (room, title));
            let titles = titles(invites, &begins);
            titles.into_iter().map(Offer::plain).collect()
        }
        Takes::Emoji => {
            let fits = EMOJI.iter().filter(|one| one.starts_with(beginning));
            fits.map(|one| Offer::plain((*one).to_owned())).collect()
        }
        Takes::Message | Takes::Own | Takes::Reaction | Takes::File => {
            let digits = beginning.strip_prefix('#').unwrap_or(beginning);
            let lines = known.messages.iter().rev();
            let fits = lines.filter(|line| line.id.to_string().starts_with(digits));
            // One's own are changed where they stand.
            let is_here = |chat: &str| here == Some(chat);
            let is_own = |line: &Line| line.from == state.me && is_here(&line.chat);
            let fits = fits.filter(|line| takes != Takes::Own || is_own(line));
            let mut offered: Vec<(bool, Offer)> = fits
                .filter_map(|line| {
                    let about = match takes {
                        Takes::File => line.file.as_ref()?,
                        _ => &line.about,
                    };
                    Some((
                        !is_here(&line.chat),
                        Offer::about(line.id.to_string(), about),
                    ))
                })
                .collect();
            // Those of the chat that one is in come first, the newest of them before the others.
            offered.sort_by_key(|(elsewhere, _)| *elsewhere);
            offered.into_iter().map(|(_, offer)| offer).collect()
        }
        Takes::Scheduled => {
            let items = known.scheduled.iter().filter(|(id, _)| begins(id));
            items
                .map(|(id, about)| Offer::about(id.clone(), about))
                .collect()
        }
        Takes::Bot => {
            let names = known.hooks.iter().map(|hook| hook.name.clone());
            let mut names: Vec<String> = names.filter(|name| begins(name)).collect();
            names.sort_unstable();
            names.dedup();
            names.into_iter().map(Offer::plain).collect()
        }
        Takes::Place => {
            let places = [COMMON, ME].into_iter();
            let mut places: Vec<String> = places
                .filter(|one| begins(one))
                .map(str::to_owned)
                .collect();
            places.extend(titles(state.titles.iter(), &begins));
            places.into_iter().map(Offer::plain).collect()
        }
        Takes::Hook => {
            let typed = known
                .hooks
                .iter()
                .map(|hook| (typed_hook(hook, &known.hooks), hook));
            let fits = typed.filter(|(typed, hook)| begins(typed) || begins(&hook.name));
            let offered = fits.map(|(typed, hook)| match typed.starts_with('#') {
                true => Offer::about(typed, &safe_line(&hook.name)),
                false => Offer::plain(typed),
            });
            offered.collect()
        }
        Takes::Subscription => {
            let all = known.subscriptions.iter();
            let fits = all.filter(|one| begins(&one.typed()) || begins(&one.id.to_string()));
            fits.map(|one| Offer::about(one.typed(), &one.about()))
                .collect()
        }
        Takes::Link => {
            let links = known.links.iter();
            let own = links.filter(|(room, code)| here == Some(room) && begins(code));
            own.map(|(_, code)| Offer::plain(code.clone())).collect()
        }
    };
    offered.truncate(MAX);
    offered
}

/// What can be typed for the rooms whose titles begin so.
fn titles<'a>(
    rooms: impl Iterator<Item = (&'a String, &'a String)>,
    begins: &dyn Fn(&str) -> bool,
) -> Vec<String> {
    let rooms = rooms.filter(|(_, title)| begins(title.trim_start()));
    let typed = rooms.map(|(room, title)| naming::typed(title, room));
    let mut titles: Vec<String> = typed.collect();
    titles.sort_unstable();
    titles.dedup();
    titles
}

#[cfg(test)]
mod tests {
    use super::super::render::Event;
    use super::*;
    use serde_json::{Value, json};

    fn state() -> State {
        let mut state = State {
            me: "ann".to_owned(),
            ..State::default()
        };
        for name in ["ann", "bob", "carl", "dan", "Eve"] {
            state.name(name);
        }
        let mut take = |kind: &str, data: Value| drop(state.take(Event::new(kind, data)));
        take(
            "room",
            json!({"room": "room:7", "title": "Garden", "user": null, "members": ["ann", "bob"],
                "invites": [{"user": "carl"}], "requests": [{"user": "Eve"}]}),
        );
        take(
            "invited",
            json!({"room": "room:8", "title": "The Attic", "user": "ann"}),
        );
        take(
            "scheduled",
            json!({"id": "3f1c2a9e-6f0b", "text": "lunch?"}),
        );
        for (id, name, to) in [
            (31, "alerts", "common"),
            (45, "ci", "@me"),
            (47, "ci", "room:7"),
        ] {
            take(
                "hook",
                json!({"id": id, "name": name, "to": to, "works": true}),
            );
        }
        for (id, to, file) in [(5, "common", true), (6, "room:7", false), (7, "@ann", true)] {
            let at = "2026-11-24T20:18:55.123Z";
            let mut data = json!({"id": id, "from": "bob", "to": to, "text": "look", "at": at});
            if file {
                data["file"] = json!({"id": "f", "name": format!("{id}.png"), "size": 1});
            }
            take("message", data);
        }
        state.known.link("room:7", "c0de");
        state
    }

    fn typed(takes: Takes, beginning: &str, here: &str) -> Vec<String> {
        let offered = offers(&state(), takes, beginning, Some(here));
        offered.into_iter().map(|offer| offer.typed).collect()
    }

    #[test]
    fn a_command_is_offered_only_who_it_can_be_about_and_never_oneself() {
        for (takes, expected) in [
            (Takes::Name, &["Eve", "bob", "carl", "dan"][..]),
            (Takes::Outsider, &["Eve", "dan"]),
            (Takes::Member, &["bob"]),
            (Takes::Invited, &["carl"]),
            (Takes::Requester, &["Eve"]),
        ] {
            assert_eq!(typed(takes, "", "room:7"), expected, "{takes:?}");
        }
        assert_eq!(typed(Takes::Requester, "e", "common"), ["Eve"]);
        assert!(typed(Takes::Member, "", "common").is_empty());
    }

    #[test]
    fn a_program_is_nobody_to_write_to_or_to_invite() {
        let mut state = state();
        let at = "2026-11-24T20:18:55.123Z";
        let data =
            json!({"id": 8, "from": "bob", "to": "common", "text": "x", "at": at, "bot": true});
        state
            .known
            .shown("common", &serde_json::from_value(data).unwrap());
        for (takes, beginning) in [(Takes::Recipient, "b"), (Takes::Outsider, "b")] {
            let offered = offers(&state, takes, beginning, Some("common"));
            assert!(offered.is_empty(), "{takes:?}");
        }
        assert_eq!(offers(&state, Takes::Name, "b", Some("common")).len(), 1);
    }

    #[test]
    fn chats_and_invitations_are_offered_by_their_titles() {
        let all = ["common", "Garden", "@Eve", "@bob", "@carl", "@dan"];
        assert_eq!(typed(Takes::Chat, "", "common"), all);
        assert_eq!(typed(Takes::Chat, "g", "common"), ["Garden"]);
        assert_eq!(typed(Takes::Invite, "the", "common"), ["The Attic"]);
    }

    #[test]
    fn messages_and_files_are_offered_by_their_numbers_those_here_first() {
        assert_eq!(typed(Takes::Message, "", "common"), ["5", "7", "6"]);
        assert_eq!(typed(Takes::Message, "#6", "common"), ["6"]);
        assert_eq!(typed(Takes::File, "", "@bob"), ["7", "5"]);
        let offered = offers(&state(), Takes::File, "5", None);
        assert_eq!(offered[0].shown, "5 5.png");
    }

    #[test]
    fn only_ones_own_messages_of_the_chat_that_is_shown_are_offered_to_be_changed() {
        assert!(typed(Takes::Own, "", "common").is_empty());
        let mut state = state();
        for (id, to) in [(8, "common"), (9, "room:7")] {
            let at = "2026-11-24T20:18:55.123Z";
            let data = json!({"id": id, "from": state.me, "to": to, "text": "look", "at": at});
            state
                .known
                .shown(to, &serde_json::from_value(data).unwrap());
        }
        let offered = offers(&state, Takes::Own, "", Some("common"));
        let typed: Vec<String> = offered.into_iter().map(|offer| offer.typed).collect();
        assert_eq!(typed, ["8"]);
    }

    #[test]
    fn common_emoji_are_offered() {
        assert!(typed(Takes::Emoji, "", "common").contains(&"👍".to_owned()));
        assert_eq!(typed(Takes::Emoji, "❤", "common"), ["❤\u{fe0f}"]);
        assert_eq!(typed(Takes::Reaction, "#6", "common"), ["6"]);
    }

    #[test]
    fn hooks_are_offered_as_they_are_named_and_for_a_new_one_where_it_can_post() {
        assert_eq!(typed(Takes::Hook, "", "common"), ["alerts", "#45", "#47"]);
        assert_eq!(typed(Takes::Hook, "c", "common"), ["#45", "#47"]);
        assert_eq!(typed(Takes::Bot, "", "common"), ["alerts", "ci"]);
        assert_eq!(typed(Takes::Place, "", "@bob"), ["common", "@me", "Garden"]);
        assert_eq!(typed(Takes::Place, "@", "@bob"), ["@me"]);
    }

    #[test]
    fn what_waits_and_the_links_of_the_room_are_offered() {
        assert_eq!(typed(Takes::Scheduled, "3", "common"), ["3f1c2a9e"]);
        assert_eq!(typed(Takes::Link, "", "room:7"), ["c0de"]);
        assert!(typed(Takes::Link, "", "common").is_empty());
    }
}
