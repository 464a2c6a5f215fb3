//! What a client and this server agree to speak beyond IRC as it was (IRCv3).

/// A capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cap {
    AccountTag,
    Batch,
    Changes,
    Chathistory,
    EchoMessage,
    LabeledResponse,
    MessageTags,
    MultiPrefix,
    Redaction,
    Sasl,
    ServerTime,
    StandardReplies,
    UserhostInNames,
}

/// Each with its name, and its value for those who read one.
const ALL: [(Cap, &str, &str); 13] = [
    (Cap::AccountTag, "account-tag", ""),
    (Cap::Batch, "batch", ""),
    (Cap::Changes, "cap-notify", ""),
    (Cap::Chathistory, "draft/chathistory", ""),
    (Cap::EchoMessage, "echo-message", ""),
    (Cap::LabeledResponse, "labeled-response", ""),
    (Cap::MessageTags, "message-tags", ""),
    // There is one prefix alone.
    (Cap::MultiPrefix, "multi-prefix", ""),
    (Cap::Redaction, "draft/message-redaction", ""),
    (Cap::Sasl, "sasl", "PLAIN"),
    (Cap::ServerTime, "server-time", ""),
    (Cap::StandardReplies, "standard-replies", ""),
    (Cap::UserhostInNames, "userhost-in-names", ""),
];

/// Some of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caps(u16);

impl Caps {
    /// Whether this one is among them.
    pub fn has(self, cap: Cap) -> bool {
        self.0 & (1 << cap as u16) != 0
    }

    /// With this one, too.
    pub fn with(self, cap: Cap) -> Self {
        Self(self.0 | (1 << cap as u16))
    }

    fn without(self, cap: Cap) -> Self {
        Self(self.0 & !(1 << cap as u16))
    }

    /// What a request makes of them; none where it names one that there is not.
    pub fn asked(self, names: &str) -> Option<Self> {
        names.split_ascii_whitespace().try_fold(self, |caps, name| {
            let (name, is_wanted) = match name.strip_prefix('-') {
                Some(name) => (name, false),
                None => (name, true),
            };
            let (cap, ..) = ALL.iter().find(|(_, known, _)| *known == name)?;
            Some(match is_wanted {
                true => caps.with(*cap),
                false => caps.without(*cap),
            })
        })
    }

    /// The names of these.
    pub fn names(self) -> String {
        let on = ALL.iter().filter(|(cap, ..)| self.has(*cap));
        on.map(|(_, name, _)| *name).collect::<Vec<_>>().join(" ")
    }

    /// The names of all that there are, with their values where those are read.
    pub fn offered(with_values: bool) -> String {
        let named = ALL.iter().map(|(_, name, value)| match *value {
            value if with_values && !value.is_empty() => format!("{name}={value}"),
            _ => (*name).to_owned(),
        });
        named.collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_taken_whole_or_not_at_all() {
        let caps = Caps::default().asked("batch server-time").unwrap();
        assert_eq!(caps.names(), "batch server-time");
        assert_eq!(caps.asked("echo-message teleport"), None);
        let fewer = caps.asked("-batch echo-message").unwrap();
        assert_eq!(fewer.names(), "echo-message server-time");
    }

    #[test]
    fn values_are_for_those_who_read_them() {
        assert!(Caps::offered(true).contains("sasl=PLAIN"));
        assert!(Caps::offered(false).contains("sasl server-time"));
    }
}
