//! Whether what looks like data about a person can be that: check digits, dates, who issues which number.
//!
//! A number's rules say how likely it is that any other number passes for it. Where that is more
//! than about one in a thousand, the rule asks for a word beside it that says what it is.

mod americas;
mod asia;
mod bank;
mod contact;
mod context;
mod digits;
mod east;
mod europe;
mod travel;
mod wallet;

use super::{Candidate, Check};

/// The check of this name, without `pii-`.
pub(super) fn by_name(name: &str) -> Option<Check> {
    let holds: Check = match name {
        "aba" => |c| alone(c) && bank::routing_number(c.secret),
        "aadhaar" => |c| alone(c) && asia::aadhaar(c.secret),
        "au-medicare" => |c| alone(c) && asia::medicare(c.secret),
        "bank-card" => bank::card_in_text,
        "bic" => |c| alone(c) && bank::bic(c.secret),
        "birthday" => |c| alone(c) && contact::birthday(c.secret),
        "bitcoin" => |c| alone(c) && wallet::bitcoin(c.secret),
        "bsn" => |c| alone(c) && europe::bsn(c.secret),
        "cn-id" => |c| alone(c) && asia::resident_id(c.secret),
        "cnpj" => |c| alone(c) && americas::cnpj(c.secret),
        "cpf" => |c| alone(c) && americas::cpf(c.secret),
        "curp" => |c| alone(c) && americas::curp(c.secret),
        "de-id-card" => |c| alone(c) && europe::id_card(c.secret),
        "de-tax-id" => |c| alone(c) && europe::tax_id(c.secret),
        "dni" => |c| alone(c) && europe::dni(c.secret),
        "email" => |c| contact::email(c.secret),
        "fiscal-code" => |c| alone(c) && europe::fiscal_code(c.secret),
        "iban" => |c| alone(c) && bank::iban(c.secret),
        "inn" => |c| alone(c) && east::inn(c.secret),
        "itin" => |c| alone(c) && americas::itin(c.secret),
        "mbi" => |c| alone(c) && americas::mbi(c.secret),
        "mrz" => |c| travel::mrz(c.secret),
        "my-number" => |c| alone(c) && asia::my_number(c.secret),
        "named" => context::named,
        "nhs" => |c| alone(c) && europe::nhs(c.secret),
        "nik" => |c| alone(c) && asia::nik(c.secret),
        "nino" => |c| alone(c) && europe::nino(c.secret),
        "nir" => |c| alone(c) && europe::nir(c.secret),
        "nric" => |c| alone(c) && asia::nric(c.secret),
        "number" => |c| alone(c) && travel::document_number(c.secret),
        "pan" => |c| alone(c) && asia::pan(c.secret),
        "pesel" => |c| alone(c) && east::pesel(c.secret),
        "phone" => contact::phone_in_text,
        "public-ip" => contact::public_address,
        "rrn" => |c| alone(c) && asia::rrn(c.secret),
        "segwit" => |c| alone(c) && wallet::segwit(c.secret),
        "sin" => |c| alone(c) && americas::sin(c.secret),
        "snils" => |c| alone(c) && east::snils(c.secret),
        "ssn" => |c| alone(c) && americas::ssn(c.secret),
        "tckn" => |c| alone(c) && east::tckn(c.secret),
        "tfn" => |c| alone(c) && asia::tfn(c.secret),
        _ => return None,
    };
    Some(holds)
}

/// Whether a candidate is not a part of something longer: of a number, a name, a version, a path.
fn alone(candidate: &Candidate<'_>) -> bool {
    let (before, after) = context::around(candidate);
    let mut back = before.iter().rev().copied();
    let mut on = after.iter().copied();
    let part_of_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let glue = |byte: u8| matches!(byte, b'-' | b'.');
    let free = |near: Option<u8>, next: Option<u8>| match near {
        Some(byte) if part_of_name(byte) => false,
        Some(byte) if glue(byte) => !next.is_some_and(|next| next.is_ascii_digit()),
        _ => true,
    };
    free(back.next(), back.next()) && free(on.next(), on.next())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn within(text: &str, secret: &str) -> bool {
        let start = text.find(secret).unwrap();
        let secret = text.get(start..start + secret.len()).unwrap();
        alone(&Candidate { secret, matched: secret, text, start })
    }

    #[test]
    fn a_part_of_something_longer_is_not_alone() {
        for text in ["x123", "123x", "0.123", "123.5", "7-123", "123-7", "a_123"] {
            assert!(!within(text, "123"), "{text}");
        }
        for text in ["123", " 123.", "(123)", "is 123, and", "№123", "号123号", "=123;", "n:123", "a/123 "] {
            assert!(within(text, "123"), "{text}");
        }
    }
}
