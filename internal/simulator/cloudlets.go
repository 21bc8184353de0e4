package simulator

// cloudletType is one line of the cloudlet lists of both APIs.
type cloudletType struct {
	id     int64
	code   string
	legacy string // its name in v2
	shared string // its name in v3, empty when v3 cannot hold it
}

// cloudletTypes are the cloudlets of the documents. IV, MMA and MMB have no id there; theirs are made up.
func cloudletTypes() []cloudletType {
	return []cloudletType{
		{0, "ER", "EDGEREDIRECTOR", "EDGE_REDIRECTOR"},
		{1, "VP", "VISITORPRIORITIZATION", ""},
		{3, "FR", "FORWARDREWRITE", "FORWARD_REWRITE"},
		{4, "IG", "IPGEOACCESS", "REQUEST_CONTROL"},
		{5, "AP", "ASSETPRIORITIZATION", "API_PRIORITIZATION"},
		{6, "AS", "AUDIENCESEGMENTATION", "AUDIENCE_SEGMENTATION"},
		{7, "CD", "CONTINUOUSDEPLOYMENT", "PHASED_RELEASE"},
		{8, "IV", "INPUTVALIDATION", ""},
		{9, "ALB", "APPLICATIONLOADBALANCER", ""},
		{10, "MMB", "CLOUDMARKETINGPLUS", ""},
		{11, "MMA", "CLOUDMARKETING", ""},
		{12, "VWR", "", "VIRTUAL_WAITING_ROOM"},
	}
}

func typeByCode(code string) (cloudletType, bool) {
	for _, t := range cloudletTypes() {
		if t.code == code {
			return t, true
		}
	}
	return cloudletType{}, false
}

func typeByID(id int64) (cloudletType, bool) {
	for _, t := range cloudletTypes() {
		if t.id == id && t.legacy != "" {
			return t, true
		}
	}
	return cloudletType{}, false
}

func legacyCloudlets() [][]byte {
	var docs [][]byte
	for _, t := range cloudletTypes() {
		if t.legacy != "" {
			docs = append(docs, template(`{"serviceVersion":null,"apiVersion":"2.0","location":"/cloudlets/api/v2/cloudlet-info/%d",`+
				`"cloudletId":%d,"cloudletCode":%q,"cloudletName":%q}`, t.id, t.id, t.code, t.legacy).bytes())
		}
	}
	return docs
}

func sharedCloudlets() [][]byte {
	var docs [][]byte
	for _, t := range cloudletTypes() {
		if t.shared != "" {
			docs = append(docs, template(`{"cloudletName":%q,"cloudletType":%q}`, t.shared, t.code).bytes())
		}
	}
	return docs
}
