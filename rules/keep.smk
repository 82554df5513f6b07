"""Looking after a study: what it would take, what has become of it, and what nobody asks for any more."""


rule plan:
    input:
        script=JOBS.script("plan.py"),
    log:
        f"<logs>/plan/{PLAN.config.name}.log",
    localrule: True
    conda:
        "../envs/atlas.yaml"
    params:
        config=json.dumps(CONFIG),
        gpu=option("gpu", *filter(None, [snakemake_internals.gpu(workflow)])),
    message:
        "planning"
    shell:
        'source "$(dirname {input.script:q})/job.sh"; '
        "python {input.script:q} --config {params.config:q} {params.gpu} 2>&1 | tee {log:q}"


rule power:
    input:
        script=JOBS.script("power.py"),
    log:
        f"<logs>/power/{PLAN.config.name}.log",
    localrule: True
    conda:
        "../envs/atlas.yaml"
    params:
        config=json.dumps(CONFIG),
    message:
        "how many replicates would show what"
    shell:
        'source "$(dirname {input.script:q})/job.sh"; '
        "python {input.script:q} --config {params.config:q} 2>&1 | tee {log:q}"


rule smoke:
    input:
        script=JOBS.script("plan.py"),
        cards=JOBS.cards(),
    log:
        f"<logs>/smoke/{PLAN.config.name}.log",
    conda:
        "../envs/atlas.yaml"
    params:
        config=json.dumps(CONFIG),
    message:
        "training each network on each data set for one step"
    shell:
        'source "$(dirname {input.script:q})/job.sh"; '
        "python {input.script:q} --config {params.config:q} --smoke 2>&1 | tee {log:q}"


rule status:
    input:
        script=JOBS.script("status.py"),
    log:
        f"<logs>/status/{PLAN.config.name}.log",
    localrule: True
    conda:
        "../envs/atlas.yaml"
    params:
        config=json.dumps(CONFIG),
    message:
        "looking at what has become of it"
    shell:
        'source "$(dirname {input.script:q})/job.sh"; '
        "python {input.script:q} --config {params.config:q} 2>&1 | tee {log:q}"


rule prune:
    input:
        script=JOBS.script("prune.py"),
    log:
        f"<logs>/prune/{PLAN.config.name}.log",
    localrule: True
    conda:
        "../envs/atlas.yaml"
    params:
        config=json.dumps(CONFIG),
        command=command("prune=remove", target=["prune"]),
    message:
        "looking for what no config asks for any more"
    shell:
        'source "$(dirname {input.script:q})/job.sh"; '
        "python {input.script:q} --config {params.config:q} --command {params.command:q} 2>&1 | tee {log:q}"
