// Package virttemplate stands in for a module that the Go module proxy does not have: a client that KubeVirt makes but,
// while virtTemplateDeployment is off, never asks anything.
package virttemplate

import (
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
)

type Clientset struct {
	client *rest.RESTClient
}

type TemplateV1beta1Client struct {
	client *rest.RESTClient
}

func NewForConfig(config *rest.Config) (*Clientset, error) {
	own := rest.CopyConfig(config)
	own.GroupVersion = &schema.GroupVersion{Group: "template.kubevirt.io", Version: "v1beta1"}
	own.APIPath = "/apis"
	own.NegotiatedSerializer = serializer.NewCodecFactory(runtime.NewScheme()).WithoutConversion()
	client, err := rest.RESTClientFor(own)
	if err != nil {
		return nil, err
	}
	return &Clientset{client}, nil
}

func (c *Clientset) TemplateV1beta1() *TemplateV1beta1Client {
	return &TemplateV1beta1Client{c.client}
}

func (c *TemplateV1beta1Client) RESTClient() rest.Interface {
	return c.client
}
