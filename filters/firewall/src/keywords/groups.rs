//! Keywords by the bytes that they are known by. Whether any of those with the same bytes stands at a place is told
//! by what all of them have in common; only then they are compared.

use std::ops::Range;

use super::Keyword;

/// Keywords by a hash of their rarest bytes, of which there are so many.
pub(super) struct Groups<const HASHES: usize> {
    /// Of each hash: the number of its group. The first group is of those that there are not.
    of: Box<[u16; HASHES]>,
    groups: Vec<Group>,
}

/// Keywords of the same hash.
struct Group {
    /// What all of them have.
    around: Around,
    /// Where its entries begin and end.
    first: u32,
    end: u32,
}

/// A keyword of three bytes or more.
pub(super) struct Entry {
    around: Around,
    pub(super) number: u32,
    /// Where in the keyword the hashed bytes stand.
    hashed: u32,
    /// Where the keyword begins in the bytes of all, and its length.
    from: u32,
    length: u32,
    any_case: bool,
    /// Whether there is more of it than the bytes around.
    longer: bool,
    /// Whether it is a letter over and over, and only counts where a run of that begins.
    begins: bool,
}

/// The eight bytes from a place on, and the eight before it.
#[derive(Clone, Copy, Default)]
pub(super) struct Around {
    on: Eight,
    back: Eight,
}

/// Eight bytes, and which bits of them count.
#[derive(Clone, Copy, Default)]
struct Eight {
    value: u64,
    mask: u64,
}

impl<const HASHES: usize> Groups<HASHES> {
    /// Of entries, each with what is hashed of it, which are put to all of them.
    pub(super) fn new(mut hashed: Vec<(u32, Entry)>, all: &mut Vec<Entry>) -> Self {
        hashed.sort_by_key(|(gram, entry)| (slot::<HASHES>(*gram), entry.number));
        let mut of = Box::new([0; HASHES]);
        let mut groups = vec![Group { around: Around::NEVER, first: 0, end: 0 }];
        let mut last = None;
        for (at, (gram, entry)) in (all.len() as u32..).zip(&hashed) {
            let slot = slot::<HASHES>(*gram);
            if last.replace(slot) != Some(slot) {
                groups.push(Group { around: entry.around, first: at, end: at });
                of.get_mut(slot).into_iter().for_each(|of| *of = (groups.len() - 1) as u16);
            }
            if let Some(group) = groups.last_mut() {
                group.around = group.around.common(&entry.around);
                group.end = at + 1;
            }
        }
        all.extend(hashed.into_iter().map(|(_, entry)| entry));
        Self { of, groups }
    }

    /// Whether any of those with these bytes may stand here.
    #[inline(always)]
    pub(super) fn may_have(&self, gram: u32, here: &Around) -> bool {
        self.group(gram).is_some_and(|group| group.around.is(here))
    }

    /// Where among all entries those with these bytes are.
    #[inline(always)]
    pub(super) fn of(&self, gram: u32) -> Range<u32> {
        self.group(gram).map_or(0..0, |group| group.first..group.end)
    }

    #[inline(always)]
    fn group(&self, gram: u32) -> Option<&Group> {
        self.groups.get(usize::from(*self.of.get(slot::<HASHES>(gram))?))
    }
}

impl Entry {
    /// Of a keyword that stands in the bytes of all from a place on. If it is a letter over and over, it may be one that only
    /// counts where a run of that `begins`.
    pub(super) fn new(
        number: u32,
        hashed: usize,
        Keyword { text, any_case }: &Keyword,
        from: usize,
        begins: bool,
    ) -> Self {
        let (before, rest) = text.split_at_checked(hashed).unwrap_or_default();
        let narrow = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
        Self {
            around: Around {
                on: Eight::of((0..8).zip(rest), *any_case),
                back: Eight::of((0..8).rev().zip(before.iter().rev()), *any_case),
            },
            number,
            hashed: narrow(hashed),
            from: narrow(from),
            length: narrow(text.len()),
            any_case: *any_case,
            longer: before.len() > 8 || rest.len() > 8,
            begins,
        }
    }

    /// Whether it may stand where its hashed bytes do.
    #[inline(always)]
    pub(super) fn may_be(&self, here: &Around) -> bool {
        self.around.is(here)
    }

    /// Where it begins, if it stands where its hashed bytes may. `all` are the bytes of all keywords.
    pub(super) fn begin(&self, text: &[u8], at: usize, here: &Around, all: &[u8]) -> Option<usize> {
        let is = self.around.is(here) && !(self.begins && here.goes_on(self.any_case));
        let begin = at.checked_sub(self.hashed as usize).filter(|_| is)?;
        let length = self.length as usize;
        let there = text.get(begin..begin + length)?;
        if !self.longer {
            return Some(begin);
        }
        let from = self.from as usize;
        let keyword = all.get(from..from + length)?;
        (there == keyword || (self.any_case && there.eq_ignore_ascii_case(keyword))).then_some(begin)
    }
}

impl Around {
    /// What no place has.
    const NEVER: Self = Self { on: Eight { value: 1, mask: 0 }, back: Eight { value: 0, mask: 0 } };

    /// At a place of a text, with nothing beyond its ends.
    #[inline(always)]
    pub(super) fn at(text: &[u8], at: usize) -> Self {
        let inside = at.checked_sub(8).and_then(|from| text.get(from..)).and_then(|rest| rest.first_chunk::<16>());
        let (back, on) = match inside {
            Some(bytes) => {
                let both = u128::from_le_bytes(*bytes);
                (both as u64, (both >> 64) as u64)
            }
            None => Self::at_end(text, at),
        };
        let eight = |value| Eight { value, mask: u64::MAX };
        Self { on: eight(on), back: eight(back) }
    }

    #[cold]
    fn at_end(text: &[u8], at: usize) -> (u64, u64) {
        let (before, rest) = text.split_at_checked(at).unwrap_or_default();
        let on = rest.iter().take(8).rev().fold(0, |all, byte| all << 8 | u64::from(*byte));
        let from = before.len().saturating_sub(8);
        let back = before.get(from..).unwrap_or_default().iter().fold(0, |all, byte| all >> 8 | u64::from(*byte) << 56);
        (back, on)
    }

    /// The first four bytes from the place on.
    #[inline(always)]
    pub(super) fn gram(&self) -> u32 {
        self.on.value as u32
    }

    /// Whether bytes of a text are so.
    #[inline(always)]
    fn is(&self, here: &Self) -> bool {
        (here.on.value & self.on.mask == self.on.value) & (here.back.value & self.back.mask == self.back.value)
    }

    /// Whether the letter at the place stands before it, too.
    fn goes_on(&self, any_case: bool) -> bool {
        let difference = self.back.value >> 56 ^ self.on.value & 0xFF;
        difference == 0 || (any_case && difference == 0x20)
    }

    fn common(&self, other: &Self) -> Self {
        Self { on: self.on.common(other.on), back: self.back.common(other.back) }
    }
}

impl Eight {
    /// Of bytes and their places. Letters of any case are compared without the bit that makes them small.
    fn of<'b>(bytes: impl Iterator<Item = (u32, &'b u8)>, any_case: bool) -> Self {
        bytes.fold(Self::default(), |Self { value, mask }, (place, byte)| {
            let bits = if any_case && byte.is_ascii_alphabetic() { !0x20 } else { u8::MAX };
            let put = |byte: u8| u64::from(byte) << (8 * place);
            Self { value: value | put(byte & bits), mask: mask | put(bits) }
        })
    }

    fn common(self, other: Self) -> Self {
        let mask = self.mask & other.mask & !(self.value ^ other.value);
        Self { value: self.value & mask, mask }
    }
}

/// Small bytes, so that each of them changes the highest bits.
#[inline(always)]
fn slot<const HASHES: usize>(gram: u32) -> usize {
    (gram.wrapping_mul(0x9e37_79b1) >> (u32::BITS - HASHES.trailing_zeros())) as usize % HASHES
}
