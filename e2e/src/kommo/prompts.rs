//! The four prompts.

use serde_json::{Value, json};

const PROMPTS: [(&str, &str, &str); 4] = [
    (
        "analisar_vendas_mes",
        "Analyses the sales of the month",
        "Read the sales report of this month and say what went well, what did not, and why.",
    ),
    (
        "resumo_leads_status",
        "Sums up the leads by stage",
        "Read the dashboard and sum up how many leads are in each stage.",
    ),
    (
        "analise_pipeline",
        "Analyses a pipeline",
        "Read the pipelines and the leads and say in which stage leads wait longest.",
    ),
    (
        "motivos_perda",
        "Analyses why deals are lost",
        "Read the loss reasons and the lost leads and name the most common reasons.",
    ),
];

/// The result of `prompts/list`.
pub(super) fn list() -> Value {
    let listed = PROMPTS.map(|(name, description, _)| json!({"name": name, "description": description}));
    json!({"prompts": listed})
}

/// The result of `prompts/get`, if there is such a prompt.
pub(super) fn get(name: &str) -> Option<Value> {
    let (_, description, text) = PROMPTS.iter().find(|prompt| prompt.0 == name)?;
    Some(json!({
        "description": description,
        "messages": [{"role": "user", "content": {"type": "text", "text": text}}],
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_prompt_can_be_got_and_no_other() {
        for (name, _, text) in PROMPTS {
            assert_eq!(get(name).expect("a prompt")["messages"][0]["content"]["text"], text);
        }
        assert_eq!(get("Motivos_perda"), None);
    }
}
