//! The characters that the body of a token is made of.

/// A set of ASCII characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alphabet {
    /// `A-Z2-7`
    Base32,
    /// `A-Za-z0-9`
    Base62,
    /// `A-Za-z0-9+/=`
    Base64,
    /// `A-Za-z0-9_-`
    Base64Url,
    /// As above, and `.`
    Dotted,
    /// `0-9a-fA-F`
    Hex,
    /// `A-Z0-9 -`: what stands in the header of a key block.
    Header,
    /// `A-Z0-9`
    Upper,
    /// Whatever stands before the end of a URL's authority.
    UserInfo,
    /// Whatever stands before white space, a quote or a delimiter.
    Value,
    /// `0-9a-zA-Z/_-`: a path of identifiers.
    Path,
}

impl Alphabet {
    /// Whether a byte is in it.
    pub(super) fn has(self, byte: u8) -> bool {
        match self {
            Self::Base32 => byte.is_ascii_uppercase() || (b'2'..=b'7').contains(&byte),
            Self::Base62 => byte.is_ascii_alphanumeric(),
            Self::Base64 => byte.is_ascii_alphanumeric() || b"+/=".contains(&byte),
            Self::Base64Url => byte.is_ascii_alphanumeric() || b"_-".contains(&byte),
            Self::Dotted => byte.is_ascii_alphanumeric() || b"_-.".contains(&byte),
            Self::Hex => byte.is_ascii_hexdigit(),
            Self::Header => byte.is_ascii_uppercase() || byte.is_ascii_digit() || b" -".contains(&byte),
            Self::Upper => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Self::UserInfo => byte.is_ascii_graphic() && !b"/?#\"'<>()[]{}`,\\".contains(&byte),
            Self::Value => byte.is_ascii_graphic() && !b"\"'`,;<>()[]{}".contains(&byte),
            Self::Path => byte.is_ascii_alphanumeric() || b"/_-".contains(&byte),
        }
    }

    /// How many bytes at the beginning of a text are in it, counting no further than one past `max`.
    pub(super) fn run(self, text: &[u8], max: usize) -> usize {
        text.iter().take(max.saturating_add(1)).take_while(|b| self.has(**b)).count()
    }
}
