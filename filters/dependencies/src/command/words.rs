//! A command as a shell splits it into words.

/// The words of a command: quotes and escapes are gone, comments and redirections are left out.
pub(crate) fn shell(text: &str, prose: bool) -> Vec<String> {
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
