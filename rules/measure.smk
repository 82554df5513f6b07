"""Measures: one job for all cells that share data set and architecture, then one that joins their tables."""


# A checkpoint, though nothing asks for what it finds: when it has run, Snakemake looks again at what follows. As a rule
# it would keep a measure whose settings or code changed with it from running, since `ancient` makes no job follow.
checkpoint cells:
    input:
        script=script("cells.py"),
        code=imports("cells.py"),
    output:
        cells="<results>/cells.csv",
        config="<results>/config.json",
    log:
        f"<logs>/cells/{PLAN.config.name}.log",
    benchmark:
        f"<logs>/benchmarks/cells/{PLAN.config.name}.tsv"
    priority: FIRST
    localrule: True
    conda:
        "../envs/atlas.yaml"
    params:
        config=lasting_config,
        layout=plan_layout,
        command=command,
        retry=retry_command,
    message:
        "listing the cells"
    shell:
        "python {input.script:q} --config {params.config:q} --command {params.command:q} --retry {params.retry:q} "
        "--cells {output.cells:q} --resolved {output.config:q} > {log:q} 2>&1 || {{ cat {log:q} >&2; exit 1; }}"


rule measure:
    input:
        script=script("measure.py"),
        code=group_imports,
        cells=ancient("<results>/cells.csv"),
        runs=group_runs,
        card=group_card,
        data=ancient(group_data),
    output:
        directory("<results>/measures/{group}"),
    log:
        f"<logs>/measure/{PLAN.config.name}/{{group}}.log",
    benchmark:
        f"<logs>/benchmarks/measure/{PLAN.config.name}/{{group}}.tsv"
    conda:
        "../envs/atlas.yaml"
    resources:
        mem_mb=group_memory,
        runtime=group_runtime,
    params:
        layout=group_layout,
    message:
        "measuring {wildcards.group}"
    shell:
        "python {input.script:q} --cells {input.cells:q} --group {wildcards.group} --data {input.data:q} "
        "--card {input.card:q} --threads {threads} --output {output:q} > {log:q} 2>&1 "
        "|| {{ tail -n 20 {log:q} >&2; exit 1; }}"


rule collect:
    input:
        script=script("collect.py"),
        code=imports("collect.py"),
        cells="<results>/cells.csv",
        runs=block_files("run.json"),
        metrics=block_files("metrics.csv"),
        measures=measure_directories,
        cards=[f"data/{dataset}.json" for dataset in PLAN.datasets],
    output:
        directory("<results>/tables"),
    log:
        f"<logs>/collect/{PLAN.config.name}.log",
    benchmark:
        f"<logs>/benchmarks/collect/{PLAN.config.name}.tsv"
    conda:
        "../envs/atlas.yaml"
    message:
        "joining the tables"
    shell:
        "python {input.script:q} --cells {input.cells:q} --measures {input.measures:q} --cards {input.cards:q} "
        "--output {output:q} > {log:q} 2>&1 || {{ tail -n 20 {log:q} >&2; exit 1; }}"
