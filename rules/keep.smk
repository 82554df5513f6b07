"""Looking after a study: what it would take, what has become of it, and what nobody asks for any more."""


rule plan:
    input:
        script=script("plan.py"),
    log:
        f"<logs>/plan/{PLAN.config.name}.log",
    localrule: True
    conda:
        "../envs/atlas.yaml"
    params:
        config=full_config,
    message:
        "planning"
    shell:
        "python {input.script:q} --config {params.config:q} 2>&1 | tee {log:q}"


rule smoke:
    input:
        script=script("plan.py"),
        cards=[f"data/{dataset}.json" for dataset in PLAN.datasets],
    log:
        f"<logs>/smoke/{PLAN.config.name}.log",
    conda:
        "../envs/atlas.yaml"
    params:
        config=full_config,
    message:
        "training each pair of network and data for one step"
    shell:
        "set -o pipefail; python {input.script:q} --config {params.config:q} --smoke 2>&1 | tee {log:q}"


rule status:
    input:
        script=script("status.py"),
    log:
        f"<logs>/status/{PLAN.config.name}.log",
    localrule: True
    conda:
        "../envs/atlas.yaml"
    params:
        config=full_config,
    message:
        "looking at what has become of it"
    shell:
        "set -o pipefail; python {input.script:q} --config {params.config:q} 2>&1 | tee {log:q}"


rule prune:
    input:
        script=script("prune.py"),
    log:
        f"<logs>/prune/{PLAN.config.name}.log",
    localrule: True
    conda:
        "../envs/atlas.yaml"
    params:
        config=full_config,
        command=prune_command,
    message:
        "looking for what no config asks for any more"
    shell:
        "set -o pipefail; python {input.script:q} --config {params.config:q} --command {params.command:q} "
        "2>&1 | tee {log:q}"
