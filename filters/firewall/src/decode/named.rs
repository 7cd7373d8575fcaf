//! HTML's names for characters that ASCII has, or that cannot be seen.

/// No name that is read is longer.
pub(super) const LONGEST: usize = 24;

/// The character of a name between `&` and `;`.
pub(super) fn named(name: &[u8]) -> Option<char> {
    Some(match name {
        b"amp" | b"AMP" => '&',
        b"lt" | b"LT" => '<',
        b"gt" | b"GT" => '>',
        b"quot" | b"QUOT" => '"',
        b"apos" => '\'',
        b"nbsp" | b"NonBreakingSpace" => '\u{A0}',
        b"lowbar" | b"UnderBar" => '_',
        b"hyphen" | b"dash" => '-',
        b"minus" => '-',
        b"plus" => '+',
        b"equals" => '=',
        b"sol" => '/',
        b"bsol" => '\\',
        b"period" => '.',
        b"comma" => ',',
        b"colon" => ':',
        b"semi" => ';',
        b"commat" => '@',
        b"num" => '#',
        b"dollar" => '$',
        b"percnt" => '%',
        b"ast" | b"midast" => '*',
        b"excl" => '!',
        b"quest" => '?',
        b"lpar" => '(',
        b"rpar" => ')',
        b"lsqb" | b"lbrack" => '[',
        b"rsqb" | b"rbrack" => ']',
        b"lcub" | b"lbrace" => '{',
        b"rcub" | b"rbrace" => '}',
        b"verbar" | b"vert" | b"VerticalLine" => '|',
        b"grave" | b"DiacriticalGrave" => '`',
        b"Hat" => '^',
        b"tilde" => '~',
        b"Tab" => '\t',
        b"NewLine" => '\n',
        b"shy" => '\u{AD}',
        b"zwnj" => '\u{200C}',
        b"zwj" => '\u{200D}',
        b"ZeroWidthSpace" | b"NegativeThinSpace" => '\u{200B}',
        b"NoBreak" => '\u{2060}',
        b"lrm" => '\u{200E}',
        b"rlm" => '\u{200F}',
        _ => return None,
    })
}
