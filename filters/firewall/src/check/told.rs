//! Passwords that somebody tells in a sentence, in a language in which no name in code says it.
//!
//! In English the names in code do (`my password is …`); there more is asked of what merely stands in a sentence.

use std::sync::LazyLock;

use super::assigned::can_be_chosen;
use super::placeholder::contains;
use super::words::Words;

/// Words for what a person chooses.
const NAMES: &[&str] = &[
    "kennwort",
    "passwort",
    "zugangsdaten",
    "mot de passe",
    "contrase",
    "clave",
    "senha",
    "parola",
    "wachtwoord",
    "hasło",
    "hasła",
    "haslo",
    "şifre",
    "Şifre",
    "sifre",
    "lösenord",
    "adgangskode",
    "salasana",
    "heslo",
    "jelsz",
    "parolă",
    "mật khẩu",
    "kata sandi",
    "арол",
    "密码",
    "密碼",
    "口令",
    "パスワード",
    "비밀번호",
    "암호",
    "كلمة المرور",
    "كلمة السر",
    "पासवर्ड",
    "รหัสผ่าน",
];

/// How the same is said with the English word.
const VERBS: &[&str] = &[" ist ", " lautet ", " est ", " es ", " è ", " é ", " jest ", " to "];

/// What stands between such a word and a value that is not the password, but whose it is.
const WHOSE: &[&str] = &[
    "mail",
    "user",
    "login",
    "nutzer",
    "konto",
    "usuario",
    "usuário",
    "utilisateur",
    "compte",
    "utente",
    "gebruiker",
    "ytkownik",
    "kullan",
    "ользовател",
    "用户",
    "ユーザ",
];

/// So much may stand between them: a few words.
const NEAR: usize = 48;

/// Whether what stands before a value says that it is a password, and the value can be one that a person chose.
pub(super) fn is_password(head: &str, value: &str) -> bool {
    static NAMED: LazyLock<Words> = LazyLock::new(|| Words::new(NAMES));
    static OF_WHOM: LazyLock<Words> = LazyLock::new(|| Words::new(WHOSE));
    let sign = head.trim_end_matches(['"', '\'', '`', '*', '_', '(']);
    let in_english = || contains(head, "passw") && VERBS.iter().any(|verb| sign.ends_with(verb));
    // What ends a sentence is not the value's; `!` may well be.
    let text = value.trim_end_matches(['.', ',', ';', ':', '?', ')', '*']);
    head.len() <= NEAR && (NAMED.any(head) || in_english()) && !OF_WHOM.any(head) && can_be_chosen(text)
}

#[cfg(test)]
mod tests {
    use crate::rule::Direction;
    use crate::rules::{Rules, Selection};
    use crate::sample::draw;
    use crate::scan::{Origin, Scratch, Text};

    fn is_found(rules: &Rules, text: &str) -> bool {
        let texts = [Text { text, origin: Origin::User, flows: false }];
        let mut found = false;
        let said = rules.scan(&texts, Direction::Request, &mut Scratch::default(), &mut |_| found = true);
        said.unwrap();
        found
    }

    /// In the languages in which injections are known.
    const SAID: [&str; 30] = [
        "my password is {}",
        "Das Passwort ist {}",
        "Das Passwort lautet {}.",
        "Mein Kennwort ist: {}",
        "Passwort für den Server: {}",
        "le mot de passe est {}",
        "mot de passe : {}",
        "contraseña: {}",
        "la contraseña es {}",
        "contrasena: {}",
        "mi clave es {}",
        "a senha é {}",
        "senha: {}",
        "la password è {}",
        "Parola d'ordine: {}",
        "het wachtwoord is {}",
        "wachtwoord: {}",
        "hasło to {}",
        "Hasło do bazy: {}",
        "haslo: {}",
        "şifre: {}",
        "Şifre: {}",
        "parola: {}",
        "пароль: {}",
        "Пароль — {}",
        "пароль от базы: {}",
        "密码是{}。",
        "密码：{}",
        "パスワードは{}です",
        "パスワード：{}",
    ];

    #[test]
    fn a_password_is_told_in_many_languages() {
        let rules = Rules::load(true, &[], &Selection::default()).ok().unwrap();
        for said in SAID {
            for template in
                ["Sommer2024!", "Xk29fLq8", "qwertz99", "blau-kessel-wolke-9", "{b62:14}", "Kater%{digit:4}x"]
            {
                for seed in 1..5 {
                    let text = said.replace("{}", &draw(template, seed).unwrap());
                    assert!(is_found(&rules, &text), "{text}");
                }
            }
        }
    }

    #[test]
    fn what_is_said_about_one_is_none() {
        let rules = Rules::load(true, &[], &Selection::default()).ok().unwrap();
        for said in SAID.into_iter().skip(1) {
            for word in [
                "Base64-kodiert",
                "ISO27001-konform",
                "SHA256-gehasht",
                "TLS1.3-gesichert",
                "PBKDF2-abgeleitet",
                "Pflichtfeld2",
                "RFC6749-konform",
                "maxlength64",
                "minLength8",
                "user_id_2",
                "12caracteres",
                "obligatoria",
                "${{PASSWORT}}",
                "<passwort>",
                "********",
            ] {
                let text = said.replace("{}", word);
                assert!(!is_found(&rules, &text), "{text}");
            }
        }
        for text in [
            "Passwort vergessen für Benutzer: Max2024Muster",
            "Contraseña restablecida para el usuario: juanPerez84",
            "mot de passe oublié pour le compte : jeanDupont84",
            "пароль сброшен для пользователя: ivanPetrov84",
            "Passwort-Regeln: mindestens 12 Zeichen, 2 Ziffern",
            "Das Passwort ist zu kurz, erlaubt sind 8-64 Zeichen",
        ] {
            assert!(!is_found(&rules, text), "{text}");
        }
    }
}
