//! One message as it is posted: Standard Webhooks 1.0.0.

use veche::prelude::*;

/// What a secret begins with, so that it is known as one.
const PREFIX: &str = "whsec_";

/// What only a subscription's owner knows of it: the text of its row.
#[derive(Serialize, Deserialize)]
pub struct Secrets {
    /// Where to.
    pub url: String,
    /// What is signed with, as its owner is shown it.
    pub secret: String,
}

impl Secrets {
    /// Those of a new one.
    pub fn new(url: String) -> Result<Self, Problem> {
        let secret = format!("{PREFIX}{}", Key::random()?);
        Ok(Self { url, secret })
    }

    /// Those of a row.
    pub fn read(text: &str) -> Option<Self> {
        let text: Value = text.parse().ok()?;
        Self::deserialize(text).ok()
    }
}

/// A message in its envelope, the same over all attempts.
pub struct Letter {
    id: String,
    /// The body.
    pub json: String,
}

impl Letter {
    /// A message as its reader is shown it.
    pub fn new(id: Id, at: Time, message: &Value) -> Self {
        let json = json!({"type": "message", "timestamp": at.to_string(), "data": message});
        Self {
            id: format!("msg_{id}"),
            json: json.to_string(),
        }
    }

    /// The fields that go with it, signed with each of these secrets; none where one is none.
    pub fn headers(&self, secrets: &[&str], now: Time) -> Option<HeaderMap> {
        let second = now.0.div_euclid(1000);
        let signed = format!("{}.{second}.{}", self.id, self.json);
        let signatures = secrets.iter().map(|secret| {
            let key: Key = secret.strip_prefix(PREFIX)?.parse().ok()?;
            Some(format!("v1,{}", key.sign(&signed)))
        });
        let signatures = signatures.collect::<Option<Vec<_>>>()?.join(" ");
        let fields = [
            ("webhook-id", self.id.clone()),
            ("webhook-timestamp", second.to_string()),
            ("webhook-signature", signatures),
        ];
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.insert(name, HeaderValue::from_str(&value).ok()?);
        }
        Some(headers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_signed_as_the_reference_implementations_do() {
        let letter = Letter {
            id: "msg_p5jXN8AQM9LWM0D4loKWxJek".to_owned(),
            json: "{\"test\": 2432232314}".to_owned(),
        };
        let now = Time(1_614_265_330_999);
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let signed = |secrets: &[&str]| letter.headers(secrets, now).unwrap_or_default();
        let headers = signed(&[secret]);
        let field = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        assert_eq!(field("webhook-id"), Some("msg_p5jXN8AQM9LWM0D4loKWxJek"));
        assert_eq!(field("webhook-timestamp"), Some("1614265330"));
        assert_eq!(
            field("webhook-signature"),
            Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
        );
        let no_secret = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        for secrets in [&[no_secret][..], &[secret, no_secret]] {
            assert!(letter.headers(secrets, now).is_none());
        }
        // With two secrets there are two signatures, the newer one's first.
        let other = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let one = |secret| {
            signed(&[secret])["webhook-signature"]
                .to_str()
                .map(str::to_owned)
        };
        let (new, old) = (one(other).expect("ASCII"), one(secret).expect("ASCII"));
        let both = signed(&[other, secret]);
        assert_eq!(both["webhook-signature"], format!("{new} {old}"));
    }

    #[test]
    fn a_secret_is_of_256_bits_and_is_read_as_it_was_made() {
        let made = Secrets::new("https://example.org/".to_owned()).expect("random bits");
        assert_eq!(made.secret.len(), PREFIX.len() + 44);
        let read = Secrets::read(&json!(made).to_string()).expect("both");
        assert_eq!((read.url, read.secret), (made.url, made.secret));
    }

    #[test]
    fn a_body_says_what_it_is_and_when_it_happened() {
        let letter = Letter::new(812, Time(0), &json!({"id": 812, "text": "hi"}));
        assert_eq!(letter.id, "msg_812");
        assert_eq!(
            letter.json,
            r#"{"type":"message","timestamp":"1970-01-01T00:00:00.000Z","data":{"id":812,"text":"hi"}}"#
        );
    }
}
