//! Real input: many people of many scripts write at once over many connections while the server
//! is killed again and again; in the end every acknowledged message is there exactly once, in
//! order, for exactly those who may see it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use lipsum::LIBER_PRIMUS;
use serde_json::{Value, json};
use veche::testing::{Client, Event, PATIENCE, Server, encode, wait_at_most};

const USERS: usize = 200;
const MESSAGES: usize = 100_000;
/// How many post at the same time; each posts for its share of the users.
const WRITERS: usize = 40;
/// How many users listen, with two clients each.
const LISTENERS: usize = 8;
const KILLS: usize = 4;
/// With whom a user writes in private: a few people, as people do.
const FRIENDS: usize = 8;

/// Marsaglia's xorshift64: the same input on every machine and in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound).unwrap_or(1)).unwrap_or(0)
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

const NAMES: [&str; 24] = [
    "ann",
    "Zoë",
    "Łukasz",
    "Мария",
    "Олександр",
    "Ιωάννης",
    "Նարեկ",
    "ნინო",
    "שרה",
    "محمد",
    "فاطمه",
    "प्रिया",
    "বিজয়",
    "தமிழ்",
    "กมลา",
    "မောင်",
    "李小龙",
    "さくら",
    "김민준",
    "Nguyễn",
    "አበበ",
    "𝒜lice",
    "e\u{301}mile",
    "x_y-z.1",
];

const WORDS: [&str; 34] = [
    "hello",
    "and",
    "the",
    "server",
    "tomorrow?",
    "привет",
    "завтра",
    "как дела",
    "γειά σου",
    "שלום",
    "مرحبا بك",
    "नमस्ते",
    "สวัสดี",
    "你好吗",
    "こんにちは",
    "안녕",
    "😀",
    "👩‍👩‍👧‍👦",
    "🏳️‍🌈",
    "🇺🇦",
    "e\u{301}\u{323}",
    "Z\u{351}\u{36b}a\u{300}l\u{34c}go",
    "\u{202e}rtl\u{202c}",
    "\u{200f}",
    "\u{feff}",
    "\t",
    "\n",
    "\r\n",
    "\u{0}",
    "\u{1b}[31m",
    "data: x\n\nevent: message",
    "\\u0041\"'",
    "</script>",
    "https://example.org/?a=b&c=%20#d",
];

fn names() -> Vec<String> {
    (0..USERS)
        .map(|number| format!("{}{number}", NAMES[number % NAMES.len()]))
        .collect()
}

fn text(random: &mut Random) -> String {
    let (most, limit) = match random.below(100) {
        0 => (2000, 4000),
        1..10 => (60, 600),
        _ => (8, 200),
    };
    let count = 1 + random.below(most);
    let words: Vec<&str> = if random.below(3) == 0 {
        let begin = random.below(LIBER_PRIMUS.len() / 2);
        let rest = LIBER_PRIMUS.get(begin..).unwrap_or(LIBER_PRIMUS);
        rest.split(' ').take(count).collect()
    } else {
        (0..count).map(|_| *random.pick(&WORDS)).collect()
    };
    let text: String = words.join(" ").chars().take(limit).collect();
    // A text is never empty; a passage may begin in a gap between two words.
    if text.is_empty() {
        "…".to_owned()
    } else {
        text
    }
}

/// What one user is going to write: to whom (a user's number, or all), and what.
type Plan = Vec<(Option<usize>, String)>;

fn plans(random: &mut Random) -> Vec<Plan> {
    let mut plans: Vec<Plan> = vec![Vec::new(); USERS];
    for number in 0..MESSAGES {
        // The talkative write most.
        let user = random.below(USERS).min(random.below(USERS));
        let to = (random.below(10) < 4).then(|| match random.below(20) {
            0 => user,
            _ => (user + 1 + random.below(FRIENDS)) % USERS,
        });
        // A number makes each text one of a kind, so that a doubled message is seen.
        plans[user].push((to, format!("{} #{number}", text(random))));
    }
    for plan in &mut plans {
        for (_, text) in plan {
            // The number was put last: a long line gives way before it.
            let excess = text.chars().count().saturating_sub(4000);
            *text = text.chars().skip(excess).collect();
        }
    }
    plans
}

/// A message as it was acknowledged.
#[derive(Clone, Debug, PartialEq)]
struct Sent {
    from: usize,
    to: Option<usize>,
    text: String,
}

/// Posts until it is acknowledged, whatever happens to the server meanwhile.
fn post(client: &Client, key: &str, to: &str, text: &str) -> Value {
    let body = json!({ "to": to, "text": text });
    wait_at_most(PATIENCE * 2, "a post to be acknowledged", || {
        let request = client
            .request("POST", "/send")
            .header("Idempotency-Key", key)
            .json(&body);
        match request.try_send() {
            Ok(reply) if reply.status == 201 => Some(reply.body),
            // A server that stops or starts may say so.
            Ok(reply) => {
                assert_eq!(reply.status, 503, "{reply}");
                None
            }
            Err(_) => None,
        }
    })
}

/// Follows a user's events over all kills, from `cursor` to the last message.
fn listen(client: &Client, mut cursor: String, last: &str) -> Vec<Event> {
    let mut seen: Vec<Event> = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(600);
    while Instant::now() < deadline {
        let Ok(mut events) = client.try_events_after(&cursor) else {
            std::thread::sleep(Duration::from_millis(20));
            continue;
        };
        while let Some(event) = events.next_or_end() {
            assert_ne!(event.event, "reset", "after {cursor}");
            if let Some(id) = &event.id {
                id.clone_into(&mut cursor);
            }
            let over = event.data["text"] == last;
            if event.event == "message" {
                seen.push(event);
            }
            if over {
                return seen;
            }
        }
    }
    seen
}

#[test]
fn every_acknowledged_message_is_there_once_in_order_for_those_who_may_see_it() {
    const LAST: &str = "this is the last message of all";
    let mut random = Random(0x5eed_0fc0_de00_cafe);
    let plans = plans(&mut random);
    let mut server = Server::core();
    let clients: Vec<Client> = names().iter().map(|name| server.connect(name)).collect();
    let outsider = server.connect("outsider");
    let names: Vec<&str> = clients.iter().map(|client| client.name.as_str()).collect();
    let begin = outsider.cursor();
    let listening: Vec<(usize, Client)> = (0..LISTENERS)
        .flat_map(|user| {
            [clients[user].clone(), clients[user].again()].map(|client| (user, client))
        })
        .chain([(USERS, outsider.clone())])
        .collect();

    let acknowledged = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let sent: Mutex<BTreeMap<u64, Sent>> = Mutex::new(BTreeMap::new());
    let heard: Vec<(usize, Vec<Event>)> = std::thread::scope(|scope| {
        let ears: Vec<_> = listening
            .iter()
            .map(|(user, client)| {
                let begin = begin.clone();
                scope.spawn(move || (*user, listen(client, begin, LAST)))
            })
            .collect();
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (clients, plans, names) = (&clients, &plans, &names);
                let (acknowledged, sent, failed) = (&acknowledged, &sent, &failed);
                scope.spawn(move || {
                    let _alarm = Alarm(failed);
                    // The users of a writer take turns, each in the order of their plan.
                    let own: Vec<usize> = (writer..USERS).step_by(WRITERS).collect();
                    let longest = own.iter().map(|&user| plans[user].len()).max().unwrap_or(0);
                    for turn in 0..longest {
                        for &user in &own {
                            let Some((to, text)) = plans[user].get(turn) else {
                                continue;
                            };
                            let address =
                                to.map_or("common".to_owned(), |to| format!("@{}", names[to]));
                            let key = format!("{user}-{turn}");
                            let message = post(&clients[user], &key, &address, text);
                            assert_eq!(message["text"], text.as_str());
                            assert_eq!(message["from"], names[user]);
                            assert_eq!(message["to"], address);
                            let id = message["id"].as_u64().unwrap_or_default();
                            let (to, text) = (*to, text.clone());
                            let mut sent =
                                sent.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                            let doubled = sent.insert(
                                id,
                                Sent {
                                    from: user,
                                    to,
                                    text,
                                },
                            );
                            assert_eq!(doubled, None, "two messages have the id {id}");
                            acknowledged.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                })
            })
            .collect();
        for kill in 1..=KILLS {
            wait_at_most(
                Duration::from_secs(300),
                "posts before the next kill",
                || {
                    assert!(!failed.load(Ordering::Relaxed), "a writer failed");
                    let there = acknowledged.load(Ordering::Relaxed);
                    (there >= MESSAGES * kill / (KILLS + 1)).then_some(())
                },
            );
            server.kill();
            server.restart();
        }
        for writer in writers {
            assert!(writer.join().is_ok(), "a writer failed");
        }
        post(&outsider, "the last", "common", LAST);
        ears.into_iter().filter_map(|ear| ear.join().ok()).collect()
    });
    assert_eq!(heard.len(), listening.len(), "a listener failed");

    let sent = sent
        .into_inner()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    assert_eq!(sent.len(), MESSAGES);
    each_wrote_in_order(&plans, &sent);

    // On the streams: exactly what each may see, resumed exactly over all kills.
    for (user, events) in &heard {
        let expected: Vec<u64> = sent
            .iter()
            .filter(|(_, sent)| sent.to.is_none() || sent.from == *user || sent.to == Some(*user))
            .map(|(id, _)| *id)
            .collect();
        let messages: Vec<&Value> = events.iter().map(|event| &event.data).collect();
        same(&messages[..messages.len() - 1], &expected, &sent, &names);
    }

    // On the pages: the common chat, the same for all.
    let common: Vec<u64> = of_chat(&sent, |sent| sent.to.is_none());
    for client in [&outsider, &clients[0], &clients[USERS - 1]] {
        let history = client.history("common");
        let messages: Vec<&Value> = history.iter().collect();
        same(&messages[..messages.len() - 1], &common, &sent, &names);
    }
    // And every private chat, from both sides.
    let mut chats: HashMap<usize, HashSet<usize>> = HashMap::new();
    for Sent { from, to, .. } in sent.values() {
        if let Some(to) = to {
            chats.entry(*from).or_default().insert(*to);
            chats.entry(*to).or_default().insert(*from);
        }
    }
    for (user, client) in clients.iter().enumerate() {
        let others = chats.remove(&user).unwrap_or_default();
        let status = client.status();
        let listed = status["chats"].as_array().cloned().unwrap_or_default();
        assert_eq!(listed.len(), others.len() + 1, "{}'s chats", client.name);
        for other in others {
            let ids = of_chat(&sent, |sent| {
                (sent.from, sent.to) == (user, Some(other))
                    || (sent.from, sent.to) == (other, Some(user))
            });
            let chat = format!("@{}", names[other]);
            let history = client.history(&chat);
            same(&history.iter().collect::<Vec<_>>(), &ids, &sent, &names);
            let unread = ids.iter().filter(|id| sent[id].from != user).count();
            let entry = listed.iter().find(|entry| entry["chat"] == chat.as_str());
            assert_eq!(
                entry.map(|entry| &entry["unread"]),
                Some(&json!(unread)),
                "{chat}"
            );
        }
    }
    // Somebody else's private message does not exist for the outsider.
    let private = of_chat(&sent, |sent| sent.to.is_some());
    for id in private.iter().step_by(private.len() / 50 + 1) {
        outsider
            .get(&format!("/messages/{id}"))
            .problem(404, "not_found");
    }
    for name in names.iter().take(20) {
        let page = outsider
            .get(&format!("/messages?chat=@{}", encode(name)))
            .expect(200);
        assert_eq!(page["messages"], json!([]));
    }
}

/// Raised when a writer panics, so that nobody waits for what it will never post.
struct Alarm<'a>(&'a AtomicBool);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

fn of_chat(sent: &BTreeMap<u64, Sent>, belongs: impl Fn(&Sent) -> bool) -> Vec<u64> {
    let own = sent.iter().filter(|(_, sent)| belongs(sent));
    own.map(|(id, _)| *id).collect()
}

/// What one user wrote, one after the other, has growing ids.
fn each_wrote_in_order(plans: &[Plan], sent: &BTreeMap<u64, Sent>) {
    let mut written: Vec<Plan> = vec![Vec::new(); USERS];
    for Sent { from, to, text } in sent.values() {
        written[*from].push((*to, text.clone()));
    }
    assert_eq!(written, plans);
}

/// These messages are those ids, in this order, each as it was sent.
fn same(messages: &[&Value], ids: &[u64], sent: &BTreeMap<u64, Sent>, names: &[&str]) {
    let shown: Vec<u64> = messages
        .iter()
        .filter_map(|message| message["id"].as_u64())
        .collect();
    if shown != ids {
        let (there, wanted): (HashSet<_>, HashSet<_>) =
            (shown.iter().collect(), ids.iter().collect());
        let missing: Vec<_> = wanted.difference(&there).take(5).collect();
        let foreign: Vec<_> = there.difference(&wanted).take(5).collect();
        let (shown, ids) = (shown.len(), ids.len());
        unreachable!(
            "{shown} shown of {ids}; missing {missing:?}, too many {foreign:?}, or the order"
        );
    }
    for message in messages {
        let Sent { from, to, text } = &sent[&message["id"].as_u64().unwrap_or_default()];
        assert_eq!(message["from"], names[*from]);
        assert_eq!(message["text"], text.as_str());
        let address = to.map_or("common".to_owned(), |to| format!("@{}", names[to]));
        assert_eq!(message["to"], address.as_str());
    }
}
