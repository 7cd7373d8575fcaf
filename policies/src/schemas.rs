//! The schemas that ship with the program: what the four tools of LLMesh are asked, and what they answer.

/// The schemas of one tool, as JSON text.
#[derive(Clone, Copy, Debug)]
pub struct ToolSchemas {
    /// The tool's name, as it stands in its path.
    pub name: &'static str,
    /// What it is asked.
    pub request: &'static str,
    /// What it answers.
    pub answer: &'static str,
}

macro_rules! tools {
    ($($name:literal),*) => {
        /// The four tools.
        pub const TOOLS: [ToolSchemas; 4] = [$(ToolSchemas {
            name: $name,
            request: include_str!(concat!("../schemas/", $name, ".request.json")),
            answer: include_str!(concat!("../schemas/", $name, ".answer.json")),
        }),*];
    };
}

tools!("critique_output", "generate_code", "generate_tests", "review_code");
