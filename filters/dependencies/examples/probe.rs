fn main() {
    for path in std::env::args().skip(1) {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let hint = if path.ends_with(".md") {
            portcullis_dependencies::Hint::Answer
        } else {
            portcullis_dependencies::Hint::File(&path)
        };
        let all = portcullis_dependencies::find(&text, hint);
        for f in all.found {
            let p: String = text.get(f.place.clone()).unwrap_or("").chars().take(90).collect();
            println!(
                "{}\t{}\t{:?}\t{:?}\t{:?}\t{p:?}",
                path.rsplit('/').take(2).collect::<Vec<_>>().join("<"),
                f.package,
                f.wanted,
                f.how,
                f.remote
            );
        }
        for u in all.unreadable {
            println!("{path}\tUNREADABLE {u}");
        }
    }
}
