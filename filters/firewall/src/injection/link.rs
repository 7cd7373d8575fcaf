//! Images and links that carry what was said to whoever owns their address.

/// What the address of a link carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carries {
    /// A place to be filled with what was said: `?q={{conversation}}`.
    Conversation,
    /// A place to be filled with something.
    Slot,
    /// Prose in its query.
    Prose,
}

/// How links begin: in Markdown, and in HTML.
pub(super) const BEGINNINGS: &[&str] = &["](http", "](<http", "](//", "]: http", "<img", "<iframe", "<a href"];

/// The longest link that is looked at.
const LONGEST: usize = 768;
/// Words that name what must stay in the conversation. An address with a placeholder for one of
/// them is there to be read by its owner.
const SAID: &[&str] = &[
    "conversation",
    "chat",
    "history",
    "transcript",
    "prompt",
    "secret",
    "context",
    "api_key",
    "api key",
    "apikey",
    "password",
    "credential",
    "token",
    "session",
    "summary",
    "summari",
    "message",
    "user_data",
    "user data",
    "userdata",
    "user's",
    "email",
    "e-mail",
    "memory",
    "base64",
    "answer",
    "instructions",
    "contents",
    "input",
];

/// Where links begin.
pub(super) fn begin(text: &str) -> impl Iterator<Item = usize> {
    let begins = |at: &usize| {
        let rest = text.as_bytes().get(*at..).unwrap_or_default();
        let is = |begin: &&str| rest.get(..begin.len()).is_some_and(|part| part.eq_ignore_ascii_case(begin.as_bytes()));
        BEGINNINGS.iter().any(is)
    };
    memchr::memchr2_iter(b']', b'<', text.as_bytes()).filter(begins)
}

/// What the link that begins here carries: at `](`, `<img`, `<iframe` or `<a `.
pub(super) fn carries(text: &str, at: usize) -> Option<Carries> {
    let rest = text.as_bytes().get(at..)?;
    let rest = rest.get(..LONGEST).unwrap_or(rest);
    let markdown = rest.starts_with(b"](");
    let inside = rest.get(2..)?;
    // No address goes on behind its line, and hardly any has a query or a placeholder.
    let inside = inside.get(..memchr::memchr(b'\n', inside).unwrap_or(inside.len()))?;
    memchr::memchr3(b'?', b'{', b'$', inside).or_else(|| memchr::memchr2(b'<', b'[', inside))?;
    carried(inside, markdown)
}

/// What the link carries that has this inside, to the end of the line.
fn carried(inside: &[u8], markdown: bool) -> Option<Carries> {
    let end = if markdown { markdown_end(inside) } else { memchr::memchr2(b'>', b'<', inside).unwrap_or(inside.len()) };
    let link = inside.get(..end)?;
    // It stands near the beginning: nothing is prepared to find it.
    let address = link.get(link.windows(2).position(|two| two == b"//")?..)?;
    // Only what comes after the host's name can be filled with data without changing who is asked.
    let filled = address.get(2..)?;
    let path = filled.get(memchr::memchr2(b'/', b'?', filled)?..)?;
    let query = memchr::memchr(b'?', path).and_then(|mark| path.get(mark + 1..));
    match slot(path) {
        Some(words) if mentions(words) || query.is_some_and(mentions) => Some(Carries::Conversation),
        Some(_) => Some(Carries::Slot),
        None if query.is_some_and(shouts) => Some(Carries::Conversation),
        None => query.filter(|query| prose(query)).map(|_| Carries::Prose),
    }
}

/// The end of an address in Markdown: its parenthesis, but not one inside a placeholder.
fn markdown_end(inside: &[u8]) -> usize {
    let mut depth = 0usize;
    let mut open = 0usize;
    for (number, byte) in inside.iter().enumerate() {
        match byte {
            b'{' | b'<' => open += 1,
            b'}' | b'>' => open = open.saturating_sub(1),
            b'(' => depth += 1,
            b')' if depth == 0 && open == 0 => return number,
            b')' => depth = depth.saturating_sub(1),
            b']' if inside.get(number + 1) == Some(&b'(') => return number,
            _ => {}
        }
    }
    inside.len()
}

/// What stands in the first placeholder of an address, in any of the usual brackets.
fn slot(path: &[u8]) -> Option<&[u8]> {
    let open = path.iter().position(|byte| matches!(byte, b'{' | b'<' | b'[' | b'$'))?;
    let inside = path.get(open + 1..)?;
    let close = inside.iter().position(|byte| matches!(byte, b'}' | b'>' | b']' | b')'))?;
    inside.get(..close).filter(|words| words.iter().any(u8::is_ascii_alphabetic))
}

fn mentions(words: &[u8]) -> bool {
    let mut lower = [0u8; LONGEST];
    let mut length = 0;
    for (to, byte) in lower.iter_mut().zip(words) {
        *to = byte.to_ascii_lowercase();
        length += 1;
    }
    let lower = lower.get(..length).unwrap_or_default();
    SAID.iter().any(|word| memchr::memmem::find(lower, word.as_bytes()).is_some())
}

/// Whether a value of the query is a name in capitals that asks to be replaced: `?q=CHAT_SUMMARY`.
fn shouts(query: &[u8]) -> bool {
    query.split(|byte| *byte == b'&').any(|pair| {
        let value = pair.splitn(2, |byte| *byte == b'=').nth(1).unwrap_or_default();
        let name = value.len() >= 6 && value.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b'_');
        name && mentions(value)
    })
}

/// Whether a value of the query is a sentence: six words or more.
fn prose(query: &[u8]) -> bool {
    query.split(|byte| *byte == b'&').any(|pair| {
        let value = pair.splitn(2, |byte| *byte == b'=').nth(1).unwrap_or_default();
        let gaps =
            value.iter().filter(|byte| **byte == b'+').count() + memchr::memmem::find_iter(value, b"%20").count();
        gaps >= 5 && value.iter().filter(|byte| byte.is_ascii_lowercase()).count() * 2 > value.len()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(text: &str) -> Option<Carries> {
        let at = text.find("](").or_else(|| text.find("<img")).unwrap();
        carries(text, at)
    }

    #[test]
    fn says_what_an_address_carries() {
        assert_eq!(of("![x](https://a.example/p.png?q={{conversation}})"), Some(Carries::Conversation));
        assert_eq!(of("![x](https://a.example/[BASE64 of the last message])"), Some(Carries::Conversation));
        assert_eq!(of("[m](https://a.example/log?q=CHAT_SUMMARY)"), Some(Carries::Conversation));
        assert_eq!(of("<img src=\"https://a.example/c?data={{chat_history}}\">"), Some(Carries::Conversation));
        assert_eq!(of("![x](https://a.example/{{ page.image }}?v=1)"), Some(Carries::Slot));
        assert_eq!(of("![x](https://a.example/l?d=the%20user%20said%20that%20his%20name%20is)"), Some(Carries::Prose));
        assert_eq!(of("![build](https://a.example/badge.svg?branch=main)"), None);
        assert_eq!(of("[docs](https://a.example/chat/history)"), None);
    }

    proptest! {
        /// The look at the line passes by no link that carries something.
        #[test]
        fn the_look_before_misses_none(text in "(a|/|\\?|=|\\{|\\}|<|>|\\[|\\]|\\$|\\(|\\)|\n|chat|CHAT|a\\+b\\+){0,30}", html: bool) {
            let line = text.split('\n').next().unwrap();
            let link = format!("{}http://a.example/", if html { "<a href=" } else { "](" });
            let all = carried(format!("{}{line}", &link[2..]).as_bytes(), !html);
            prop_assert_eq!(carries(&format!("{link}{text}"), 0), all);
        }

        #[test]
        fn takes_any_text(text in "\\PC{0,80}", at in 0usize..100) {
            let _ = carries(&text, at);
            let _ = carries(&format!("](http://{text}"), 0);
        }
    }
}
