//! What programs send to a hook, as a text.
//!
//! Slack's incoming webhooks: `text`, `username`, `blocks` and `attachments`, as JSON or as the field
//! `payload` of a form. The JSON of Alertmanager's and Grafana's own webhooks, too.

use veche::prelude::*;

/// The text of what was sent, at most `limit` characters; what is beyond them is cut. `name` is the
/// bot's, and is not said again.
pub(super) fn text(body: &[u8], name: &str, limit: usize) -> Result<String, Problem> {
    let payload: Map<String, Value> = match form_field(body) {
        Some(json) => parse_json(json.as_bytes())?,
        None => parse_json(body)?,
    };
    let payload = Value::Object(payload);
    let mut text = match payload["alerts"].as_array() {
        Some(alerts) => alerted(&payload, alerts),
        None => posted(&payload),
    };
    if text.is_empty() {
        let detail =
            "there is no text in it: Slack's `text`, `blocks` or `attachments`, or `alerts`";
        return Err(invalid("text", detail));
    }
    // Of one line, so that nothing in it looks like another's.
    let username = word(&payload, "username").split_whitespace();
    let username = username.collect::<Vec<_>>().join(" ");
    if !username.is_empty() && username != name {
        text = format!("{username}: {text}");
    }
    if let Some((end, _)) = text.char_indices().nth(limit) {
        let last = text[..end].char_indices().next_back();
        text.truncate(last.map_or(0, |(last, _)| last));
        text.push('…');
    }
    Ok(text)
}

/// A form, as Slack takes it.
#[derive(Deserialize)]
struct Form {
    payload: String,
}

/// The field `payload` of a form; none where it is no form.
fn form_field(body: &[u8]) -> Option<String> {
    if body.trim_ascii_start().starts_with(b"{") {
        return None;
    }
    let form = std::str::from_utf8(body).ok()?;
    parse_query(Some(form)).ok().map(|form: Form| form.payload)
}

/// What is posted as to Slack. As there, `text` is for those who can't show `blocks`.
fn posted(payload: &Value) -> String {
    let mut lines = Lines::default();
    lines.blocks(&payload["blocks"]);
    if lines.0.is_empty() {
        lines.add(&plain(word(payload, "text")));
    }
    for attachment in list(&payload["attachments"]) {
        lines.attachment(attachment);
    }
    lines.joined()
}

/// What Alertmanager and Grafana tell: the latter has written it out.
fn alerted(payload: &Value, alerts: &[Value]) -> String {
    let mut lines = Lines::default();
    let title = word(payload, "title");
    if title.is_empty() {
        let state = match word(payload, "status") {
            "" => "ALERT".to_owned(),
            state => state.to_uppercase(),
        };
        let name = word(&payload["groupLabels"], "alertname");
        lines.add(format!("[{state}:{}] {name}", alerts.len()).trim_end());
    } else {
        lines.add(title);
    }
    let message = word(payload, "message");
    lines.add(message);
    if message.is_empty() {
        for alert in alerts {
            let (labels, notes) = (&alert["labels"], &alert["annotations"]);
            let told = ["summary", "description", "message"].map(|field| word(notes, field));
            let told = told.into_iter().find(|word| !word.is_empty());
            let told = told.unwrap_or_else(|| word(labels, "alertname"));
            let of = word(labels, "instance");
            lines.add(&match of {
                "" => format!("{}: {told}", word(alert, "status")),
                of => format!("{}: {told} ({of})", word(alert, "status")),
            });
        }
    }
    lines.joined()
}

/// Lines of a text, without those that say nothing.
#[derive(Default)]
struct Lines(Vec<String>);

impl Lines {
    fn add(&mut self, line: &str) {
        let line = line.trim();
        if !line.is_empty() {
            self.0.push(line.to_owned());
        }
    }

    fn joined(self) -> String {
        self.0.join("\n")
    }

    fn blocks(&mut self, blocks: &Value) {
        for block in list(blocks) {
            match word(block, "type") {
                "divider" => self.add("---"),
                "image" => {
                    let titles = [word(&block["title"], "text"), word(block, "alt_text")];
                    let title = titles.into_iter().find(|title| !title.is_empty());
                    self.add(&linked(title.unwrap_or_default(), word(block, "image_url")));
                }
                "rich_text" => self.rich(block),
                "actions" => self.elements(block),
                "context" => {
                    let parts = list(&block["elements"]).iter();
                    let parts: Vec<_> = parts.map(|part| plain(said(part))).collect();
                    self.add(&parts.join(" "));
                }
                // `section`, `header`, and what comes to be called otherwise.
                _ => {
                    self.add(&plain(said(&block["text"])));
                    for field in list(&block["fields"]) {
                        self.add(&plain(said(field)));
                    }
                }
            }
        }
    }

    /// Buttons that lead somewhere.
    fn elements(&mut self, block: &Value) {
        for element in list(&block["elements"]) {
            let url = word(element, "url");
            if !url.is_empty() {
                self.add(&linked(said(&element["text"]), url));
            }
        }
    }

    /// Sections, lists, quotations and code, each with what is written in it.
    fn rich(&mut self, block: &Value) {
        for part in list(&block["elements"]) {
            if word(part, "type") == "rich_text_list" {
                for item in list(&part["elements"]) {
                    self.add(&format!("• {}", run(item)));
                }
            } else {
                self.add(&run(part));
            }
        }
    }

    fn attachment(&mut self, attachment: &Value) {
        let before = self.0.len();
        self.add(&plain(word(attachment, "pretext")));
        self.add(&plain(word(attachment, "author_name")));
        let title = plain(word(attachment, "title"));
        self.add(&linked(&title, word(attachment, "title_link")));
        self.add(&plain(word(attachment, "text")));
        for field in list(&attachment["fields"]) {
            let (title, value) = (word(field, "title"), plain(word(field, "value")));
            let line = [title, &value].map(str::trim);
            self.add(line.join(": ").trim_matches([':', ' ']));
        }
        self.blocks(&attachment["blocks"]);
        self.add(word(attachment, "image_url"));
        if self.0.len() == before {
            self.add(&plain(word(attachment, "fallback")));
        }
        self.add(&plain(word(attachment, "footer")));
    }
}

/// What stands in one part of a rich text, in one line.
fn run(part: &Value) -> String {
    let mut text = String::new();
    for element in list(&part["elements"]) {
        match word(element, "type") {
            "link" => text.push_str(&linked(word(element, "text"), word(element, "url"))),
            "emoji" => {
                text.push(':');
                text.push_str(word(element, "name"));
                text.push(':');
            }
            "user" => text.push_str(&format!("@{}", word(element, "user_id"))),
            "broadcast" => text.push_str(&format!("@{}", word(element, "range"))),
            _ => text.push_str(word(element, "text")),
        }
    }
    text
}

/// A field that is a text; empty where it is none.
fn word<'a>(of: &'a Value, field: &str) -> &'a str {
    of[field].as_str().unwrap_or_default()
}

/// A text, or the text of a text object.
fn said(of: &Value) -> &str {
    of.as_str().unwrap_or_else(|| word(of, "text"))
}

fn list(of: &Value) -> &[Value] {
    of.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// What is called so, and where it leads.
fn linked(text: &str, url: &str) -> String {
    match (text.trim(), url) {
        (text, "") => text.to_owned(),
        ("", url) => url.to_owned(),
        (text, url) if text == url => url.to_owned(),
        (text, url) => format!("{text} ({url})"),
    }
}

/// Slack's marks as plain text: `<https://a.b|name>`, `<!here>`, `&amp;`.
fn plain(marked: &str) -> String {
    let mut text = String::with_capacity(marked.len());
    let mut rest = marked;
    while let Some((before, after)) = rest.split_once('<') {
        text.push_str(before);
        // A mark has no other in it: so nothing is looked through twice.
        let end = after.find(['<', '>']);
        let Some((mark, behind)) = end.and_then(|end| {
            let (mark, rest) = after.split_at(end);
            Some((mark, rest.strip_prefix('>')?))
        }) else {
            text.push('<');
            rest = after;
            continue;
        };
        let (target, label) = mark.split_once('|').unwrap_or((mark, ""));
        text.push_str(&match target.chars().next() {
            Some('!' | '@') if label.is_empty() => format!("@{}", &target[1..]),
            Some('#') if label.is_empty() => target.to_owned(),
            Some('!') => label.to_owned(),
            Some(sign @ ('@' | '#')) => format!("{sign}{label}"),
            _ => linked(label, target),
        });
        rest = behind;
    }
    text.push_str(rest);
    for (name, sign) in [("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")] {
        if text.contains(name) {
            text = text.replace(name, sign);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(payload: &Value) -> String {
        text(payload.to_string().as_bytes(), "alerts", 4000).expect("a text")
    }

    #[test]
    fn the_marks_of_slack_are_plain_text() {
        for (marked, expected) in [
            (
                "<https://a.b/c|the page> &amp; more",
                "the page (https://a.b/c) & more",
            ),
            ("<https://a.b>", "https://a.b"),
            (
                "<!here> <@U1> <#C1|ops> <!date^1^x|today>",
                "@here @U1 #ops today",
            ),
            ("1 &lt; 2 < 3", "1 < 2 < 3"),
            ("&amp;lt;", "&lt;"),
            ("a < b > c", "a  b  c"),
            ("1 < 2 <https://a.b> <<!here>>", "1 < 2 https://a.b <@here>"),
        ] {
            assert_eq!(plain(marked), expected, "{marked}");
        }
    }

    #[test]
    fn what_only_begins_costs_no_more_the_longer_it_is() {
        let long = "<|<a".repeat(500_000);
        let begun = std::time::Instant::now();
        assert_eq!(plain(&long), long);
        // The square of it would be hours.
        assert!(begun.elapsed() < std::time::Duration::from_secs(10));
    }

    #[test]
    fn blocks_are_shown_in_place_of_the_text() {
        let payload = json!({
            "text": "for those without blocks",
            "blocks": [
                {"type": "header", "text": {"type": "plain_text", "text": "Deploy"}},
                {"type": "divider"},
                {"type": "section", "text": {"type": "mrkdwn", "text": "<https://ci|build 7>"},
                 "fields": [{"type": "mrkdwn", "text": "branch"}, {"type": "mrkdwn", "text": "main"}]},
                {"type": "context", "elements": [{"type": "mrkdwn", "text": "by"}, {"type": "mrkdwn", "text": "ann"}]},
                {"type": "actions", "elements": [{"type": "button", "text": {"type": "plain_text", "text": "Open"}, "url": "https://ci/7"}]},
                {"type": "rich_text", "elements": [
                    {"type": "rich_text_section", "elements": [{"type": "text", "text": "see "}, {"type": "link", "url": "https://x"}]},
                    {"type": "rich_text_list", "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": "one"}]}]}]},
            ],
        });
        let expected = "Deploy\n---\nbuild 7 (https://ci)\nbranch\nmain\nby ann\nOpen (https://ci/7)\nsee https://x\n• one";
        assert_eq!(of(&payload), expected);
    }

    #[test]
    fn attachments_follow_and_a_fallback_stands_for_nothing_else() {
        let payload = json!({
            "username": "Alert\nmanager ",
            "attachments": [
                {"fallback": "no", "title": "[FIRING:1] Disk", "title_link": "https://am", "text": "full",
                 "fields": [{"title": "host", "value": "a", "short": true}], "footer": "am"},
                {"fallback": "only this"},
            ],
        });
        let expected = "Alert manager: [FIRING:1] Disk (https://am)\nfull\nhost: a\nam\nonly this";
        assert_eq!(of(&payload), expected);
    }

    #[test]
    fn alerts_of_alertmanager_and_of_grafana_are_understood() {
        let alert = json!({
            "status": "firing", "labels": {"alertname": "Disk", "instance": "a:9100"},
            "annotations": {"summary": "the disk is full"},
        });
        let mut payload = json!({
            "version": "4", "status": "firing", "groupLabels": {"alertname": "Disk"},
            "alerts": [alert],
        });
        let expected = "[FIRING:1] Disk\nfiring: the disk is full (a:9100)";
        assert_eq!(of(&payload), expected);
        payload["title"] = json!("[FIRING:1] Disk (a)");
        payload["message"] = json!("**Firing**\n\nValue: 99");
        assert_eq!(of(&payload), "[FIRING:1] Disk (a)\n**Firing**\n\nValue: 99");
    }

    #[test]
    fn a_form_is_the_same_and_what_is_too_long_is_cut() {
        let form = b"payload=%7B%22text%22%3A%22a%2Bb%22%7D&x=y";
        assert_eq!(text(form, "alerts", 4000).expect("a text"), "a+b");
        let long = json!({"text": "żółć"}).to_string();
        assert_eq!(text(long.as_bytes(), "alerts", 3).expect("a text"), "żó…");
        assert_eq!(text(long.as_bytes(), "alerts", 4).expect("a text"), "żółć");
    }

    #[test]
    fn what_says_nothing_is_refused() {
        for body in [
            "{}",
            r#"{"text": " "}"#,
            r#"{"text": 7, "blocks": {}, "attachments": [7]}"#,
        ] {
            let problem = text(body.as_bytes(), "alerts", 4000).expect_err("no text");
            assert_eq!(problem.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        }
        for body in ["", "text", "payload=", "[1]"] {
            assert!(text(body.as_bytes(), "alerts", 4000).is_err(), "{body}");
        }
    }
}
