mod generated_rules;
