//! A command as a shell splits it into words.

/// Beginnings of the names of tools that are given versions behind `<` and `>`, also where the quotes around them were
/// forgotten.
const COMPARING: &[&str] = &["pip", "uv", "pdm", "rye", "poetry", "conda", "mamba", "micromamba", "easy_install"];

/// The words of a command: quotes and escapes are gone, comments and redirections are left out.
pub(crate) fn shell(text: &str, prose: bool) -> Vec<String> {
    let compares =
        COMPARING.iter().any(|tool| text.get(..tool.len()).is_some_and(|name| name.eq_ignore_ascii_case(tool)));
    let (mut words, mut word, mut quote, mut begun) = (Vec::new(), String::new(), None, false);
    let mut skip = false;
    let mut put = |word: &mut String, skip: &mut bool| {
        let done = std::mem::take(word);
        let redirects = done.trim_start_matches(|c: char| c.is_ascii_digit() || c == '&');
        if let Some(target) = redirects.strip_prefix(['<', '>']).filter(|rest| !rest.starts_with('=')) {
            *skip = target.trim_start_matches(['>', '<']).is_empty();
        } else if !std::mem::take(skip) {
            words.push(done);
        }
    };
    let mut chars = text.chars().peekable();
    let (mut before, mut blank) = (' ', false);
    while let Some(c) = chars.next() {
        match (c, quote) {
            // A line that goes on: the shell joins it.
            ('\\' | '`' | '^', None) if chars.peek() == Some(&'\n') => {
                _ = chars.next();
                blank = true;
                before = c;
                continue;
            }
            ('\\', None | Some('"')) => {
                word.extend(chars.next());
                begun = true;
            }
            (_, Some(open)) if c == open => quote = None,
            (_, Some(_)) => word.push(c),
            ('"' | '\'', None) if !prose || !before.is_alphanumeric() => {
                quote = Some(c);
                begun = true;
            }
            // A line of its own between the lines of a command.
            ('#', None) if blank => while chars.next().is_some_and(|c| c != '\n') {},
            ('#', None) if before.is_whitespace() => break,
            // A redirection ends the word before it.
            ('<' | '>', None)
                if !(prose || redirects(&word) || compares && chars.peek().is_some_and(|c| is_version(*c))) =>
            {
                put(&mut word, &mut skip);
                begun = false;
                word.push(c);
            }
            _ if c.is_whitespace() => {
                if begun || !word.is_empty() {
                    put(&mut word, &mut skip);
                }
                begun = false;
            }
            _ => word.push(c),
        }
        before = c;
        blank &= c.is_whitespace() || c == '#';
    }
    if begun || !word.is_empty() {
        put(&mut word, &mut skip);
    }
    words
}

/// Whether a word is the beginning of a redirection, `2` and `&` in it, or says that a comparison follows.
fn redirects(word: &str) -> bool {
    let rest = word.trim_start_matches(|c: char| c.is_ascii_digit() || c == '&');
    rest.is_empty() || rest.starts_with(['<', '>']) || word.ends_with(['@', ':', '=', '<', '>'])
}

/// Whether a sign that compares may stand before it.
fn is_version(c: char) -> bool {
    c == '=' || c.is_ascii_digit()
}

/// The words of a command that code writes as a list of strings.
pub(crate) fn listed(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    let mut chars = text.chars();
    // The first one's quote stands before the text.
    let mut first = true;
    while let Some(c) = chars.next() {
        match quote {
            None if first && !matches!(c, '"' | '\'') => word.push(c),
            None if first => {
                first = false;
                words.push(std::mem::take(&mut word));
            }
            None if matches!(c, '"' | '\'') => quote = Some(c),
            None => {}
            Some(open) if c == open => {
                quote = None;
                words.push(std::mem::take(&mut word));
            }
            Some(_) if c == '\\' => word.extend(chars.next()),
            Some(_) => word.push(c),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shells_split() {
        for (text, words) in [
            ("pip install 'a>=1; x' b\\\n c", &["pip", "install", "a>=1; x", "b", "c"][..]),
            ("pip install re\"quests\"==1 > log 2>&1 # why", &["pip", "install", "requests==1"]),
            ("pip install a>=1 \\\"b\\\"", &["pip", "install", "a>=1", "\"b\""]),
        ] {
            assert_eq!(shell(text, false), words, "{text}");
        }
        assert_eq!(listed("pip\", 'install', \"a==1\", x"), ["pip", "install", "a==1"]);
    }
}
