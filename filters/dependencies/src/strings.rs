//! The strings of a line of code.

/// What stands between quotes in a line, as far as it ends there.
pub(crate) fn strings(text: &str) -> Vec<String> {
    let (mut strings, mut string, mut quote) = (Vec::new(), String::new(), None);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match quote {
            None if matches!(c, '"' | '\'' | '`') => quote = Some(c),
            None => {}
            Some(open) if c == open => {
                quote = None;
                strings.push(std::mem::take(&mut string));
            }
            Some(_) if c == '\\' => string.extend(chars.next()),
            Some(_) => string.push(c),
        }
    }
    strings
}
