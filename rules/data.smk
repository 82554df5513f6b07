"""Data sets and published weights, each prepared once."""


rule prepare:
    input:
        stamp=JOBS.dataset_stamp,
    output:
        data="<data>/{dataset}.safetensors",
        card="<data>/{dataset}.json",
    log:
        "<logs>/prepare/{dataset}.log",
    benchmark:
        "<logs>/benchmarks/prepare/{dataset}.tsv"
    priority: FIRST
    localrule: STORED
    conda:
        "../envs/atlas.yaml"
    resources:
        mem_mb=JOBS.dataset_memory,
        runtime=120,
        root=PLAN.config.data_root,
        seen=JOBS.dataset_seen,
        scripts=SCRIPTS,
    params:
        spec=JOBS.dataset_spec,
    message:
        "preparing the data set {wildcards.dataset}"
    shell:
        "source {resources.scripts:q}/job.sh; logged {log:q} "
        "python {resources.scripts:q}/prepare.py dataset --spec {params.spec:q} --dataset-id {wildcards.dataset} "
        "--data-root {resources.root:q} --output {output.data:q} --card {output.card:q} --seen {resources.seen:q}; "
        "grep '^warning: ' {log:q} >&2 || true"


rule weights:
    input:
        stamp=JOBS.weights_stamp,
    output:
        "<data>/weights/{weights}.safetensors",
    log:
        "<logs>/weights/{weights}.log",
    benchmark:
        "<logs>/benchmarks/weights/{weights}.tsv"
    priority: FIRST
    localrule: STORED
    conda:
        "../envs/atlas.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
        root=PLAN.config.data_root,
        scripts=SCRIPTS,
    params:
        spec=JOBS.weights_spec,
    message:
        "preparing the weights {wildcards.weights}"
    shell:
        "source {resources.scripts:q}/job.sh; logged {log:q} "
        "python {resources.scripts:q}/prepare.py weights --spec {params.spec:q} --data-root {resources.root:q} "
        "--output {output:q}"
