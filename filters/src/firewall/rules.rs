//! The rules: what a secret of each kind looks like.
//!
//! Nearly every issuer gives its secrets a fixed beginning, a known alphabet and a known length. A
//! rule states these, and a check that looks closer. The beginning is what the scanner searches for;
//! in a stream it is all that may ever leave.

use portcullis_policies::DataLevel::{self, L2, L3, L4};

use super::alphabet::Alphabet::{
    self, Base32, Base62, Base64, Base64Url, Dotted, Header, Hex, Path, Upper, UserInfo, Value,
};
use super::check;

/// What a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// A secret.
    Secret,
    /// A shape that is worth knowing about.
    Structure,
}

/// One rule.
#[derive(Debug)]
pub struct Rule {
    /// Its name in the operator's log and in metrics.
    pub id: &'static str,
    /// How sensitive what it finds is.
    pub level: DataLevel,
    /// What it is about.
    pub family: Family,
    /// How a match begins; any of these.
    pub(super) begins: &'static [&'static str],
    /// What follows.
    pub(super) body: Alphabet,
    /// The least and the most of it, in bytes.
    pub(super) length: (usize, usize),
    /// Whether it can be one.
    pub(super) check: fn(&str) -> bool,
    /// Where it may stand and how it ends.
    pub(super) kind: Kind,
}

/// Where a match may stand, and how it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A key, a sign, and a value; the sign and quotes are skipped. Letters of the key in any case.
    Assignment,
    /// A hint that is one as soon as it begins.
    Hint,
    /// A token: not in the middle of a word, and its body ends where its alphabet ends.
    Token,
    /// As a token, but anything may stand before it.
    Inner,
    /// As soon as its check holds, whatever follows.
    Open,
}

const fn token(id: &'static str, begins: &'static [&'static str], body: Alphabet, min: usize, max: usize) -> Rule {
    Rule {
        id,
        level: L4,
        family: Family::Secret,
        begins,
        body,
        length: (min, max),
        check: check::any,
        kind: Kind::Token,
    }
}

const fn checked(rule: Rule, check: fn(&str) -> bool) -> Rule {
    Rule { check, ..rule }
}

const fn inner(rule: Rule) -> Rule {
    Rule { kind: Kind::Inner, ..rule }
}

const fn hint(id: &'static str, begins: &'static [&'static str]) -> Rule {
    Rule {
        id,
        level: L2,
        family: Family::Structure,
        begins,
        body: Value,
        length: (0, 0),
        check: check::any,
        kind: Kind::Hint,
    }
}

/// Every rule.
pub(super) const RULES: &[Rule] = &[
    // Code hosting and packages.
    token("github-token", &["ghp_", "gho_", "ghu_", "ghs_", "ghr_"], Base62, 36, 255),
    token("github-fine-grained", &["github_pat_"], Base64Url, 60, 255),
    checked(
        token(
            "gitlab-token",
            &["glpat-", "glrt-", "gldt-", "glft-", "glcbt-", "glptt-", "glsoat-", "gloas-"],
            Dotted,
            20,
            300,
        ),
        check::random,
    ),
    token("npm-token", &["npm_"], Base62, 36, 36),
    token("pypi-token", &["pypi-AgEIcHlwaS5vcmc"], Base64Url, 50, 1000),
    token("rubygems-key", &["rubygems_"], Hex, 48, 48),
    token("pulumi-token", &["pul-"], Hex, 40, 40),
    // Clouds.
    checked(token("aws-key-id", &["AKIA", "ASIA", "ABIA", "ACCA"], Upper, 16, 16), check::aws_key_id),
    token("aws-bedrock-key", &["ABSK"], Base64, 100, 300),
    token("google-api-key", &["AIza"], Base64Url, 35, 35),
    token("google-oauth-secret", &["GOCSPX-"], Base64Url, 28, 28),
    checked(token("azure-storage-key", &["AccountKey="], Base64, 88, 88), check::storage_key),
    token("alibaba-key-id", &["LTAI"], Base62, 17, 26),
    token("digitalocean-token", &["dop_v1_", "doo_v1_", "dor_v1_"], Hex, 64, 64),
    checked(token("fly-token", &["fo1_", "fm2_"], Base64, 40, 1000), check::random),
    token("heroku-key", &["HRKU-AA"], Base64Url, 50, 70),
    token("netlify-token", &["nfp_"], Base62, 36, 40),
    token("supabase-token", &["sbp_"], Hex, 40, 40),
    token("planetscale-secret", &["pscale_tkn_", "pscale_pw_", "pscale_oauth_"], Dotted, 32, 64),
    token("databricks-token", &["dapi"], Hex, 32, 34),
    token("doppler-token", &["dp.pt."], Base62, 40, 44),
    checked(token("vault-token", &["hvs.", "hvb."], Base64Url, 24, 300), check::random),
    checked(token("dynatrace-token", &["dt0c01."], Dotted, 80, 100), check::has_dot),
    // Models.
    checked(token("openai-key", &["sk-"], Base64Url, 40, 220), check::openai),
    token("anthropic-key", &["sk-ant-"], Base64Url, 80, 140),
    checked(token("huggingface-token", &["hf_", "api_org_"], Base62, 34, 40), check::random),
    token("groq-key", &["gsk_"], Base62, 48, 56),
    token("xai-key", &["xai-"], Base62, 70, 90),
    token("perplexity-key", &["pplx-"], Base62, 48, 56),
    token("replicate-token", &["r8_"], Base62, 36, 40),
    // Payments, mail, messages.
    checked(
        token("stripe-key", &["sk_live_", "sk_test_", "rk_live_", "rk_test_", "sk_prod_", "rk_prod_"], Base62, 10, 200),
        check::random,
    ),
    checked(token("square-secret", &["sq0atp-", "sq0csp-"], Base64Url, 22, 60), check::random),
    token("shopify-token", &["shpat_", "shpca_", "shppa_", "shpss_"], Hex, 32, 32),
    checked(token("sendgrid-key", &["SG."], Dotted, 60, 75), check::sendgrid),
    token("mailgun-key", &["key-"], Hex, 32, 32),
    checked(
        token(
            "slack-token",
            &["xoxb-", "xoxp-", "xoxe-", "xoxa-", "xoxr-", "xoxs-", "xapp-", "xoxe.xoxp-"],
            Base64Url,
            20,
            250,
        ),
        check::slack,
    ),
    checked(token("slack-webhook", &["hooks.slack.com/services/"], Path, 30, 80), check::slack_hook),
    token("telegram-token", &[":AA"], Base64Url, 32, 34),
    checked(token("twilio-key", &["SK"], Hex, 32, 32), check::mixed),
    // Work.
    token("linear-key", &["lin_api_"], Base62, 40, 48),
    token("notion-token", &["ntn_"], Base62, 40, 50),
    token("postman-key", &["PMAK-"], Base64Url, 55, 65),
    checked(token("airtable-token", &["pat"], Dotted, 79, 81), check::has_dot),
    token("atlassian-token", &["ATATT3"], Base64Url, 180, 200),
    token("newrelic-key", &["NRAK-"], Upper, 27, 27),
    checked(token("grafana-token", &["glsa_"], Base64Url, 41, 41), check::grafana),
    checked(token("grafana-cloud-key", &["glc_"], Base64, 32, 400), check::random),
    token("sentry-token", &["sntryu_"], Hex, 64, 64),
    token("sentry-org-token", &["sntrys_eyJpYXQiO"], Dotted, 40, 400),
    token("onepassword-token", &["ops_eyJ"], Base64, 200, 1000),
    // Keys.
    Rule {
        id: "private-key",
        level: L4,
        family: Family::Secret,
        begins: &["-----BEGIN "],
        body: Header,
        length: (11, 64),
        check: check::private_key,
        kind: Kind::Open,
    },
    Rule {
        id: "putty-key",
        level: L4,
        family: Family::Secret,
        begins: &["PuTTY-User-Key-File-"],
        body: Base62,
        length: (1, 2),
        check: check::any,
        kind: Kind::Open,
    },
    token("age-key", &["AGE-SECRET-KEY-1"], Upper, 58, 58),
    checked(token("wireguard-key", &["PrivateKey = "], Base64, 44, 44), check::wireguard),
    checked(token("json-web-token", &["eyJ"], Dotted, 40, 4000), check::jwt),
    // Wherever a password stands by its shape alone.
    inner(checked(Rule { level: L4, ..token("url-password", &["://"], UserInfo, 6, 256) }, check::userinfo)),
    checked(token("basic-auth", &["Basic ", "basic "], Base64, 8, 512), check::basic),
    Rule { level: L3, ..checked(token("bearer-token", &["Bearer ", "bearer "], Dotted, 24, 2000), check::bearer) },
    Rule {
        id: "assigned-secret",
        level: L3,
        family: Family::Secret,
        begins: &[
            "password",
            "passwd",
            "secret",
            "api_key",
            "apikey",
            "api-key",
            "access_key",
            "accesskey",
            "auth_token",
            "access_token",
            "client_secret",
            "private_key",
        ],
        body: Value,
        length: (8, 256),
        check: check::assigned,
        kind: Kind::Assignment,
    },
    // Hints: told, and refused only where the operator says so.
    hint("absolute-path", &["/home/", "/Users/", "/root/", "/etc/", "C:\\Users\\"]),
    hint(
        "internal-import",
        &["import internal.", "from internal.", "import company.", "from company.", "import corp.", "from corp."],
    ),
    hint("template-token", &["<|im_start|>", "<|im_end|>", "<|system|>", "<|eot_id|>", "<<SYS>>"]),
];

/// Base32 is named here so that a rule for a base32 token needs no new alphabet.
const _: Alphabet = Base32;
