use proptest::prelude::*;

use super::*;

/// The request that the published format gives as its example.
const REQUEST: &str = "old 20852014\nPlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\njrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=\n5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=\n/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=\n\nexample.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\u{2014} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n\u{2014} example.com/behind-the-sofa opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=\n";
/// The answer to it.
const ANSWER: &str = "\u{2014} witness.example/w1 CMp+6LWBU0anHGH5aNDTJkH/gj79sG+T6+iP2ThYN5krrDJbR1HDnucjL39QsZTSvVjyQLrdk3DXDqI5G2HgLatVs0pWh6Up69HVOw==\n\u{2014} witness.example/w1 I7rEps0pvK2UqkS2gSpVUDhrhVtQV9lgF6pRrWAvjJHjyWpW7VcE3SiOlVlbQNt64vWhO+DlkL0+UfzuOBMh9ChdMkP1vi/lCAsmlw==\n\u{2014} witness.example/w2 AWui8Sk55XjYLOijihBjhqEH6nS1ndDymE0a+6idX7pLcnoB+dhnz0854aLZgrrKbYKA7nC3HNJhm/kWl7oJlqU3rXXvpysAdyP3wQ==\n";

#[test]
fn the_example_of_the_format_is_read_and_written() {
    let submission = Submission::parse(REQUEST.as_bytes()).unwrap();
    assert_eq!((submission.old, submission.proof.len(), submission.checkpoint.signatures.len()), (20_852_014, 4, 2));
    assert_eq!(submission.checkpoint().unwrap().size, 20_852_163);
    assert_eq!(submission.to_string(), REQUEST);
    let answer = read_cosignatures(ANSWER.as_bytes()).unwrap();
    assert_eq!(answer.iter().map(|s| s.bytes.len()).collect::<Vec<_>>(), [72; 3]);
    assert_eq!(write_cosignatures(&answer), ANSWER);
    assert_eq!(read_size(write_size(20_852_014).as_bytes()), Some(20_852_014));
}

#[test]
fn what_is_not_a_request_is_refused() {
    let hash = "PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n";
    for (what, request) in [
        ("no old size", REQUEST.replacen("old 20852014\n", "", 1)),
        ("a zero before", REQUEST.replacen("old 2", "old 02", 1)),
        ("nothing after old", REQUEST.replacen("old 20852014", "old ", 1)),
        ("two spaces", REQUEST.replacen("old ", "old  ", 1)),
        ("a short hash", REQUEST.replacen("PlRN", "", 1)),
        ("no empty line", REQUEST.replacen("\n\n", "\n", 1)),
        ("too many hashes", REQUEST.replacen(hash, &hash.repeat(61), 1)),
        ("an extension", REQUEST.replacen("q2I=\n", "q2I=\nmore\n", 1)),
        ("no signature", REQUEST.split('\u{2014}').next().unwrap().to_owned()),
        ("nothing", String::new()),
        ("too long", "old 0\n".repeat(MAX_SUBMISSION)),
    ] {
        assert!(Submission::parse(request.as_bytes()).is_err(), "{what}");
    }
    let most = REQUEST.replacen(hash, &hash.repeat(60), 1);
    assert_eq!(Submission::parse(most.as_bytes()).unwrap().proof.len(), MAX_HASHES);
    let above = REQUEST.replacen("old 20852014", "old 20852164", 1);
    let refused = Submission::parse(above.as_bytes());
    assert_eq!(refused, Err(SubmissionError::Old { old: 20_852_164, size: 20_852_163 }));
    for answer in ["", "\n", "5", "05\n", "5\n\n", "-5\n", " 5\n", "5\r\n", "99999999999999999999\n"] {
        assert_eq!(read_size(answer.as_bytes()), None, "{answer:?}");
        assert!(read_cosignatures(answer.as_bytes()).is_err());
    }
}

proptest! {
    #[test]
    fn what_is_parsed_is_written_as_it_was(at: usize, byte: u8, cut: usize) {
        let mut request = REQUEST.as_bytes().to_vec();
        let length = request.len();
        request[at % length] = byte;
        request.truncate(length - cut % 3);
        if let Ok(submission) = Submission::parse(&request) {
            prop_assert_eq!(submission.to_string().into_bytes(), request);
        }
        let mut answer = ANSWER.as_bytes().to_vec();
        let length = answer.len();
        answer[at % length] = byte;
        if let Ok(signatures) = read_cosignatures(&answer) {
            prop_assert_eq!(write_cosignatures(&signatures).into_bytes(), answer);
        }
    }
}
