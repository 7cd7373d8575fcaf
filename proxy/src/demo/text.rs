//! What the demo model says.

/// What it says to anything ordinary.
const USUAL: &str = "I am Portcullis's demo model. I know nothing, but I say it word by word, as a real model would, \
                     so that you can watch an answer pass the gate.";

/// A package that nobody has, of which the demo's own advisory speaks.
pub(crate) const PACKAGE: &str = "portcullis-demo-package";

/// What a prompt asks the demo model to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Say the usual.
    Answer,
    /// Break off what it says with something that is no JSON.
    Break,
    /// Say how to install a package that has a known weakness.
    Install,
    /// Say something that looks like a secret.
    Leak,
    /// Take ten seconds.
    Slow,
}

impl Wish {
    /// Reads it from a request's body.
    pub(super) fn of(body: &str) -> Self {
        let wishes = [
            ("demo: install something", Self::Install),
            ("demo: leak a secret", Self::Leak),
            ("demo: answer with broken json", Self::Break),
            ("demo: be slow", Self::Slow),
        ];
        wishes.into_iter().find(|(words, _)| body.contains(words)).map_or(Self::Answer, |(_, wish)| wish)
    }

    /// The words, each a token.
    pub(super) fn tokens(self) -> Vec<String> {
        match self {
            Self::Leak => {
                let mut tokens = words("Of course. The token of the build machine is ");
                // In pieces, as a model's tokens are, and made up when it is asked for.
                let token = made_up_token();
                let mut rest = token.as_str();
                while !rest.is_empty() {
                    let (piece, next) = rest.split_at_checked(5).unwrap_or((rest, ""));
                    tokens.push(piece.to_owned());
                    rest = next;
                }
                tokens.extend(words(" and it was never live."));
                tokens
            }
            Self::Install => words(&format!("Of course:\n```sh\npip install {PACKAGE}==0.1.0\n```\nand you are done.")),
            Self::Slow => words(&USUAL.repeat(10)),
            Self::Answer | Self::Break => words(USUAL),
        }
    }
}

fn words(text: &str) -> Vec<String> {
    text.split_inclusive(' ').map(str::to_owned).collect()
}

/// A text in the shape of a GitHub token: random letters and, as the real ones have, their CRC-32 in
/// base62 at the end. It opens nothing.
fn made_up_token() -> String {
    const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let letter = |n: usize| LETTERS.get(n % 62).copied().map_or('0', char::from);
    let mut random = [0u8; 30];
    // Without randomness it is a poorer show, and still no secret.
    let _ = getrandom::fill(&mut random);
    let body: String = random.iter().map(|b| letter(usize::from(*b))).collect();
    let mut crc = flate2::Crc::new();
    crc.update(body.as_bytes());
    let mut sum = crc.sum();
    let mut digits = Vec::new();
    for _ in 0..6 {
        digits.push(letter(sum as usize % 62));
        sum /= 62;
    }
    format!("ghp_{body}{}", digits.iter().rev().collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_it_is_and_leaks_when_asked() {
        assert!(Wish::Answer.tokens().concat().contains("demo model"));
        let leak = Wish::of("please, demo: leak a secret").tokens();
        let said = leak.concat();
        let at = said.find("ghp_").unwrap();
        assert_eq!(said[at..].split(' ').next().unwrap().len(), 40);
        assert!(leak.iter().all(|t| !t.contains("ghp_") || t.len() < 10), "it comes in pieces");
    }
}
