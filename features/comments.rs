//! **comments**: a thread beside each message.
//!
//! ```sh
//! curl -H "Authorization: Bearer $TOKEN" --json '{"text": "indeed"}' $URL/messages/12/comments
//! curl -H "Authorization: Bearer $TOKEN" "$URL/messages/12/comments?after=0&limit=50"
//! ```
//!
//! Whoever sees a message sees its comments; whoever may not post in its chat may not comment. A
//! comment goes with its message. The message shows their number as `comments`; the event
//! `comment` goes to those who see the message.

use veche::prelude::*;

/// Comments on messages.
pub struct Comments;

feature!(Comments);

/// A comment was made. Its text lies beside it.
#[derive(Serialize, Deserialize)]
pub struct Commented {}

#[derive(Deserialize, JsonSchema)]
struct NewComment {
    /// 1–4000 characters.
    #[schemars(with = "strings::Text")]
    text: String,
}

/// A comment.
#[derive(Serialize, JsonSchema)]
struct Comment<'a> {
    /// Only grows, and is never used again.
    id: Id,
    /// The message that it is on.
    message: Id,
    /// Who wrote it.
    from: &'a str,
    /// The text.
    text: &'a str,
    /// When it was made.
    #[schemars(with = "strings::Moment")]
    at: String,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct CommentList<'a> {
    comments: Vec<Comment<'a>>,
    more: bool,
}

impl Feature for Comments {
    const ABOUT: &'static str = "Comments on messages, counted on each message";

    type Settings = ();
    type State = ();
    type Fact = Commented;

    fn new((): ()) -> Result<Self, String> {
        Ok(Self)
    }

    fn routes() -> Routes<Self> {
        Routes::new()
            .post(
                "/messages/{id}/comments",
                "Comments on a message",
                Self::comment,
            )
            .returns::<Comment>(201, "The comment")
            .get(
                "/messages/{id}/comments",
                "A message's comments",
                Self::list,
            )
            .returns::<CommentList>(200, "Comments, oldest first")
            .message_field::<u64>("comments", "How many comments it has")
    }

    fn event(_: &Commented, telling: &Telling<'_>) -> Option<Event> {
        let comment = Comment {
            id: telling.id,
            message: telling.message?,
            from: telling.author()?,
            text: telling.text?,
            at: telling.at.to_string(),
        };
        Some(Event::new("comment", json!(comment)))
    }

    fn show(&self, (): &(), of: &Subject<'_>, _: &View<'_>, to: &mut Fields) {
        if let Subject::Message(message) = of {
            to.set("comments", message.count::<Self>());
        }
    }
}

impl Comments {
    fn comment(&self, tx: &mut Tx<'_>, call: &Call, new: &NewComment) -> Result<Answer, Problem> {
        let message = tx.message(call.id("id")?, call.user)?;
        let to = tx.address_of(&message, call.user);
        let draft = Draft::message(call.user, to, &new.text).beside(message.id);
        let mut passed = tx.check(&draft)?;
        let fact = Entry::<Self>::new(Commented {})
            .tell_chat(message.chat)
            .beside(message.id)
            .text(&new.text)
            .passed(&mut passed);
        let id = tx.record(fact)?;
        let from = tx.name(call.user).unwrap_or_default();
        let at = tx.now().to_string();
        let comment = Comment {
            id,
            message: message.id,
            from,
            text: &new.text,
            at,
        };
        Ok(Answer::created(json!(comment))
            .made(id)
            .headers(passed.headers()))
    }

    async fn list(ask: Ask<Self>, paging: Paging) -> Result<Answer, Problem> {
        let message = ask.message(ask.call.id("id")?).await?;
        let after = paging.after.unwrap_or(0);
        let (rows, more) = ask.rows(message.id, after, paging.limit()?).await?;
        let comments = ask
            .view(|view| {
                let comment = |row: &Row| {
                    json!(Comment {
                        id: row.id,
                        message: message.id,
                        from: row
                            .author
                            .and_then(|user| view.name(user))
                            .unwrap_or_default(),
                        text: row.text.as_deref().unwrap_or_default(),
                        at: row.at.to_string(),
                    })
                };
                rows.iter().map(comment).collect::<Vec<_>>()
            })
            .await?;
        Ok(Answer::ok(json!({"comments": comments, "more": more})))
    }
}
