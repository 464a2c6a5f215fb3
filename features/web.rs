//! **web**: one page, for people with a browser, which does all that the API does.
//!
//! ```sh
//! xdg-open http://127.0.0.1:8000/
//! ```
//!
//! `GET /` is the page, and so is `GET /join/CODE`, the address of a link that invites. Its parts
//! lie in `web/` beside this file and are served from `/web/NAME`, line for line, without the
//! comments and indentation that `build.rs` leaves out when it packs them: no framework, and nothing
//! to build them with. The page is a client as any other: it is served to everyone and knows nothing,
//! and what it shows it asks the API for, with a token that it keeps in the browser.

use std::sync::LazyLock;

use veche::prelude::*;

/// The page.
pub struct Web;

feature!(Web);

/// What the page may do: run the scripts, styles and workers of this server, talk to this server,
/// and show pictures that it made of bytes it fetched. No text can become a script: the browser
/// refuses to parse any (`require-trusted-types-for`), and one address is excepted, the worker's.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     worker-src 'self'; connect-src 'self'; img-src 'self' blob:; manifest-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types veche";

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const PICTURE: &str = "image/svg+xml";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The page's parts by name, of which the first is the page.
static PARTS: LazyLock<Vec<(&str, Fixed)>> = LazyLock::new(|| {
    macro_rules! parts {
        ($($kind:ident $name:literal),* $(,)?) => {
            vec![$((
                $name,
                Fixed::packed($kind, include_bytes!(concat!(env!("OUT_DIR"), "/web/", $name, ".gz")))
                    .header("content-security-policy", POLICY)
                    .header("cross-origin-opener-policy", "same-origin")
                    .header("cross-origin-resource-policy", "same-origin")
                    // A link's code is part of an address.
                    .header("referrer-policy", "no-referrer"),
            )),*]
        };
    }
    parts![
        HTML "index.html",
        STYLE "style.css",
        PICTURE "icon.svg",
        SCRIPT "account.js",
        SCRIPT "app.js",
        SCRIPT "attach.js",
        SCRIPT "chats.js",
        SCRIPT "composer.js",
        SCRIPT "dom.js",
        SCRIPT "downloads.js",
        SCRIPT "emoji.js",
        SCRIPT "find.js",
        SCRIPT "groups.js",
        SCRIPT "history.js",
        SCRIPT "hub.js",
        SCRIPT "later.js",
        SCRIPT "messages.js",
        SCRIPT "net.js",
        SCRIPT "outbox.js",
        SCRIPT "people.js",
        SCRIPT "place.js",
        SCRIPT "programs.js",
        SCRIPT "sheet.js",
        SCRIPT "store.js",
        SCRIPT "stream.js",
        SCRIPT "thread.js",
        SCRIPT "typing.js",
        SCRIPT "uploads.js",
        SCRIPT "words.js",
        SCRIPT "worker.js",
        SCRIPT "writer.js",
    ]
});

fn page() -> Option<&'static Fixed> {
    PARTS.first().map(|(_, page)| page)
}

impl Feature for Web {
    const ABOUT: &'static str = "A page at / that does for people what the API does for programs";

    type Settings = ();
    type State = ();
    type Fact = ();

    fn new((): ()) -> Result<Self, String> {
        Ok(Self)
    }

    fn routes() -> Routes<Self> {
        Routes::new()
            .fixed("/", "The page", |_| page())
            .fixed("/join/{code}", "The page, come to by a link", |_| page())
            .fixed("/web/{part}", "A part of the page", |path| {
                let asked = path.get("part")?;
                let mut parts = PARTS.iter().skip(1);
                parts.find_map(|(name, part)| (*name == asked).then_some(part))
            })
            .chat_part::<Part>("How far one has read, for whoever shows where the unread begins")
    }

    fn show(&self, (): &(), of: &Subject<'_>, view: &View<'_>, to: &mut Fields) {
        if let Subject::Chat { chat, to: user } = of {
            let read = view.read_upto(*chat, *user);
            to.set_all(&Part { read });
        }
    }
}

/// The page's part of a chat.
#[derive(Serialize, JsonSchema)]
struct Part {
    /// The id up to which all is read.
    read: Id,
}
