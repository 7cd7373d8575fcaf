//! How much what the log tells of itself should worry somebody, for whoever it is told to in whatever format.

/// How much an event of the log itself should worry somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Concern {
    /// Another log than this one was seen: somebody should look at once.
    Alarm,
    /// As it should be.
    None,
    /// The log could not be written for a while, something that was no entry was taken off its end, or nothing said where
    /// it stood.
    Trouble,
}

impl Concern {
    /// That of an event of this type.
    pub(crate) fn of(event_type: &str) -> Self {
        match event_type {
            "audit.witness_conflict" => Self::Alarm,
            "audit.read_anew" | "audit.recovered" | "audit.repaired" => Self::Trouble,
            _ => Self::None,
        }
    }

    /// As CEF counts, from 0 to 10: up to 3 little, up to 6 more, up to 8 much, then as much as can be.
    pub(crate) fn cef(self) -> u8 {
        match self {
            Self::Alarm => 10,
            Self::None => 1,
            Self::Trouble => 6,
        }
    }
}
