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

/// Those that other words end with: `enclave`, `Resenha`. A word must begin with them.
const BEGINS: &[&str] = &["clave", "senha", "parola", "haslo", "hasło", "heslo", "sifre", "şifre"];

/// Words that begin with such a word and mean something else: encryption, cryptography, a store of keys and values.
const ELSE: &[&str] = &[
    "clave-valor",
    "clave valor",
    "sifrele",
    "şifrele",
    "密码学",
    "密码算法",
    "密码套件",
    "密码库",
    "密码分析",
    "密碼學",
    "암호화",
    "암호학",
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
    // What is said of it, or what it is kept in.
    "palabra",
    "chiave",
    "manager",
    "gestor",
    "gestionnaire",
    "gerenciador",
    "менеджер",
    "管理",
    "gültig",
    "geändert",
    "abgelehnt",
    "incorrect",
    "falsch",
    "hatalı",
    "expir",
    "过期",
];

/// Words right before such a word that make something else of it, with a few of [`OF`] between them at most.
const MAKERS: &[&str] =
    &["palabra", "palabras", "gestor", "gestore", "gestionnaire", "gerenciador", "manager", "менеджер"];
const OF: &[&str] = &["de", "des", "di", "für", "per", "mot", "mots"];
const MOST_OF: usize = 3;

/// What keeps passwords: the value beside it may be its name.
const KEEPERS: &[&str] = &["manager", "gestor", "gestionnaire", "gerenciador", "менеджер", "管理", "menedżer"];

/// How the names of months begin, in the languages of [`NAMES`].
const MONTHS: &[&str] = &[
    "jan", "jän", "feb", "fev", "fév", "mar", "mär", "apr", "abr", "avr", "mai", "may", "maj", "mei", "mag", "jun",
    "jui", "giu", "jul", "lug", "aug", "ago", "aou", "aoû", "sep", "set", "oct", "okt", "out", "ott", "nov", "dec",
    "déc", "dez", "dic", "ene", "gen", "mrt", "янв", "фев", "мар", "апр", "мая", "июн", "июл", "авг", "сен", "окт",
    "ноя", "дек",
];

/// With these at its end a sentence goes on with whose it is: `Zugangsdaten für: srv-db-04`.
const FOR: &[&str] = &[" für", " von", " pour", " para", " per", " voor", " для", " için"];

/// How names of algorithms and protocols begin. A digit or a stroke follows, or another large letter.
const ALGORITHMS: &[&str] =
    &["AES", "SHA", "PBKDF2", "ChaCha20", "XChaCha20", "Argon2", "bcrypt", "RSA", "TLS", "TLSv", "LUKS", "WPA"];

/// So much before the word is looked at: room for two of these words.
const LOOKED_BACK: usize = 64;

/// So much may stand between them: a few words.
const NEAR: usize = 48;

/// Whether what stands before a value says that it is a password, and the value can be one that a person chose.
/// `before` is the text up to that.
pub(super) fn is_password(before: &str, head: &str, value: &str) -> bool {
    static OF_WHOM: LazyLock<Words> = LazyLock::new(|| Words::new(WHOSE));
    let sign = head.trim_end_matches(['"', '\'', '`', '*', '_', '(']);
    let in_english = || {
        let whose = sign.ends_with(" is ") && contains(sign, " for ");
        contains(head, "passw") && (whose || VERBS.iter().any(|verb| sign.ends_with(verb)))
    };
    // What ends a sentence is not the value's; `!` may well be.
    let text = value.trim_end_matches(['.', ',', ';', ':', '?', ')', '*']);
    head.len() <= NEAR
        && (is_named(before, head) || in_english())
        && !OF_WHOM.any(head)
        && !is_made_another(before)
        && !FOR.iter().any(|word| sign.trim_end_matches([':', '：', ' ', '\t', '\n', '\r']).ends_with(word))
        && !is_technical(text)
        && can_be_chosen(text)
}

/// Whether one of the words stands there, and as itself.
fn is_named(before: &str, head: &str) -> bool {
    static NAMED: LazyLock<Words> = LazyLock::new(|| Words::new(NAMES));
    if !NAMED.any(head) {
        return false;
    }
    let head = head.to_lowercase();
    NAMES.iter().any(|name| {
        head.match_indices(name).any(|(at, _)| {
            let (left, right) = head.split_at_checked(at).unwrap_or_default();
            let last = left.chars().next_back().or_else(|| before.chars().next_back().filter(|_| at == 0));
            let begins = !BEGINS.contains(name) || !last.is_some_and(char::is_alphanumeric);
            begins && !ELSE.iter().any(|other| right.starts_with(other))
        })
    })
}

/// Whether the words right before it make something else of it: `Palabras clave`, `Gestor de contraseñas`.
fn is_made_another(before: &str) -> bool {
    let from = before.len().saturating_sub(LOOKED_BACK);
    let near = (from..from + 4).find_map(|from| before.get(from..)).unwrap_or_default().to_lowercase();
    let words = near.rsplit(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let mut words = words.take(MOST_OF + 1).skip_while(|word| OF.contains(word));
    words.next().is_some_and(|word| MAKERS.contains(&word))
}

/// Whether a value is the name of a program that keeps passwords: `Password manager: KeePassXC2`. What stands before it
/// says so, and it is a name and a version.
pub(super) fn is_keeper(before: &str, head: &str, value: &str) -> bool {
    static KEEPS: LazyLock<Words> = LazyLock::new(|| Words::new(KEEPERS));
    let name = value.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    let version = value.len() - name.len();
    let named = name.len() >= 3 && name.bytes().all(|byte| byte.is_ascii_alphabetic()) && version <= 5;
    named && (KEEPS.any(head) || is_made_another(before))
}

/// Whether a value is the type of what is named: `token: X64V3Token`. Whoever draws a token hardly ever draws one that ends
/// with the word for it, written as in a name of several words.
pub(super) fn is_type(head: &str, value: &str) -> bool {
    let is_name = value.starts_with(|c: char| c.is_ascii_uppercase())
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let says = |word: &str| contains(head, &word.to_ascii_lowercase()) && value.len() > word.len();
    is_name && ["Token", "Key"].iter().any(|word| value.ends_with(word) && says(word))
}

/// Whether it is a number in hexadecimal digits, a date, or the name of an algorithm.
fn is_technical(text: &str) -> bool {
    let number = text.strip_prefix("0x").is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let algorithm = ALGORITHMS.iter().any(|name| {
        let head = text.get(..name.len()).filter(|head| head.eq_ignore_ascii_case(name));
        let next = text.as_bytes().get(name.len());
        let exact = head == Some(*name) && !next.is_some_and(u8::is_ascii_lowercase);
        let numbered = name.ends_with(|c: char| c.is_ascii_digit());
        head.is_some() && (exact || numbered || !next.is_some_and(u8::is_ascii_alphabetic))
    });
    number || algorithm || is_date(text)
}

/// Whether it is a day, with a time behind it or not: `31-Dez-2024`, `2024-12-31T10:00`.
pub(super) fn is_date(text: &str) -> bool {
    let day = text.split_once('T').filter(|(_, time)| time.starts_with(|c: char| c.is_ascii_digit()));
    let mut parts = day.map_or(text, |(day, _)| day).split(['-', '.', '/']);
    let (Some(one), Some(month), Some(other), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let digits = |part: &str, sizes: &[usize]| sizes.contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    let named = || {
        let month = month.to_lowercase();
        month.chars().count() <= 10
            && month.chars().all(char::is_alphabetic)
            && MONTHS.iter().any(|begin| month.starts_with(begin))
    };
    let ends = |day: &str, year: &str| digits(day, &[1, 2]) && digits(year, &[2, 4]);
    (digits(month, &[1, 2]) || named()) && (ends(one, other) || ends(other, one))
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

    #[test]
    fn a_type_is_no_token() {
        let rules = Rules::load(true, &[], &Selection::default()).unwrap();
        for text in [
            "fn multiply(_token: X64V3Token, data: &[f32; 8]) -> [f32; 8] {",
            "//! fn load(_token: X64V3Token, data: &[f32; 8]) -> __m256 {",
            "fn sign(key: P256Sha2Key, text: &[u8])",
        ] {
            assert!(!is_found(&rules, text), "{text}");
        }
        for text in ["the token: X64V3kQpToLm9ZrT2bW", "the token: x64v3kqp7lm9ztoken", "the password: X64V3kq9Token"] {
            assert!(is_found(&rules, text), "{text}");
        }
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
    fn a_password_is_told_in_passing() {
        let rules = Rules::load(true, &[], &Selection::default()).ok().unwrap();
        for said in [
            "pw: {}",
            "pw = \"{}\"",
            "PW={}",
            "db_pw: {}",
            "\"pw\": \"{}\"",
            "ssh root@h, pw: {}",
            "user: admin, pw: {}",
            "log in as admin with password {}",
            "connect with the password {}.",
            "using the password `{}`",
            "connect with user app and password {}",
            "use {} as the password",
            "`{}` is the password.",
            "{} is our root password",
            "login admin / {}",
        ] {
            for template in
                ["Vx92!kwPlqq7", "Vx{digit:2}!kw{lower:4}{digit:1}", "Blue%kettle{digit:4}x", "hT7kQ2{b62:9}4"]
            {
                for seed in 1..5 {
                    let text = said.replace("{}", &draw(template, seed).unwrap());
                    // A stroke has many other meanings: the password beside it has to look drawn.
                    assert!(said.starts_with("login") && template.contains('{') || is_found(&rules, &text), "{text}");
                }
            }
        }
        for text in ["the root password is Vx92kwPl", "password for root is Vx92kwPl"] {
            assert!(is_found(&rules, text), "{text}");
        }
    }

    #[test]
    fn what_is_said_in_passing_is_none() {
        let rules = Rules::load(true, &[], &Selection::default()).ok().unwrap();
        for text in [
            "pw: required",
            "let pw = rpassword::prompt_password(\"pw\")?;",
            "pw = page_width2 * 3",
            "pw: ********",
            "pw: <your-password1!>",
            "const pw = document.getElementById('pw1')!.value",
            "log in with password authentication (see RFC4252)",
            "encrypt it with password-based encryption, PBKDF2",
            "using the password manager 1Password8",
            "with the password from step2",
            "connect with user and password credentials",
            "use the password reset2fa page",
            "mail bob1@acme.example and password resets follow",
            "AES256-GCM is the password cipher",
            "use SSH_PASS2 as the password",
            "bcrypt-2.0.1 is our password hasher",
            "2024-12-31 was the password deadline",
            "login page / settings2",
            "login form / OAuth2",
            "password for all users is required",
            "the password for TLS1.3-sessions is ephemeral",
        ] {
            assert!(!is_found(&rules, text), "{text}");
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

    #[test]
    fn what_only_sounds_like_one_is_none() {
        let rules = Rules::load(true, &[], &Selection::default()).ok().unwrap();
        let texts = [
            "Şifreleme: AES256GCM",
            "şifreleme: TLSv1.3-ECDHE",
            "암호화: AES256GCM",
            "암호화: ChaCha20Poly1305",
            "密码学：ChaCha20Poly1305",
            "密码学：Curve25519",
            "密码管理器：KeePass2.54",
            "The secure enclave: iPhone15,2",
            "autoclave: Midmark-M11",
            "Conclave: Habemus-Papam-2025",
            "Resenha: Cyberpunk2077",
            "Palabras clave: Llama3-70B",
            "palabra clave: ISO-27001",
            "clave-valor: DynamoDB2012",
            "almacén clave-valor: Redis7.2.4",
            "Parola chiave: Industria4.0",
            "Passwort gültig bis: 31-Dez-2024",
            "Mein Kennwort ist: 31-Dez-2024",
            "Kennwort: 2024-12-31T10:00",
            "Passwort abgelehnt: 0xC000006D",
            "Kennwort: 0xC000006D",
            "Das Passwort ist AES256-GCM",
            "Passwort-Manager: Bitwarden2024",
            "Gestor de contraseñas: KeePass2.54",
            "Zugangsdaten für: srv-db-04",
            "Gestor de contraseñas: KeePassXC2",
            "Gestionnaire de mots de passe: KeePassXC2",
            "Gestore di password: KeePassXC2",
            "Wachtwoordmanager: KeePassXC2",
            "Password manager: KeePassXC2",
            "Менеджер паролей: KeePassXC2",
            "Passwort: 31-Dez-2024",
            "password: 31-Dec-2024",
            "Contraseña: 12-ene-2025",
        ];
        let wrong: Vec<&str> = texts.into_iter().filter(|text| is_found(&rules, text)).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    #[test]
    fn a_word_beside_it_does_not_make_it_another() {
        let rules = Rules::load(true, &[], &Selection::default()).ok().unwrap();
        let texts = [
            "El gestor me dio la clave: Xk29fLq8",
            "(clave: Xk29fLq8)",
            "\"senha\": Xk29fLq8",
            "Enclave y clave: Xk29fLq8",
            "şifre: Xk29fLq8",
            "La contraseña: Xk29fLq8",
            "Kennwort: Rsaxk29fLq",
            "Zugangsdaten für den Server: Xk29fLq8",
            "Password manager: Xk29fLq8vR3t",
            "contraseña: KeePassXC2x9",
        ];
        let wrong: Vec<&str> = texts.into_iter().filter(|text| !is_found(&rules, text)).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }
}
